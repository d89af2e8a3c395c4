"""What a neighbour's absence looks like: the bus's and another service's here, others are told of by who knows them."""

from collections.abc import Callable

import httpx
import nats.errors

OUTAGES: tuple[type[Exception], ...] = (OSError, TimeoutError, httpx.TransportError, nats.errors.Error)
"""What the absence of a neighbour that every service has looks like."""

type Tell = Callable[[BaseException], bool]

_told: set[Tell] = set()


def know(tell: Tell) -> None:
    """Ask this one too from now on; not every process has the neighbour, nor loads what its errors are defined in."""
    _told.add(tell)


def is_outage(error: BaseException) -> bool:
    """Tell whether the error means that a neighbour is away, rather than that we are wrong."""
    return isinstance(error, OUTAGES) or any(tell(error) for tell in _told)
