"""What a neighbour's absence looks like: the bus's and another service's here, who has others says so."""

import ssl
from collections.abc import Callable

import httpx
import nats.errors

OUTAGES: tuple[type[Exception], ...] = (OSError, TimeoutError, httpx.TransportError, nats.errors.Error)
"""What the absence of a neighbour that every service has looks like."""

type Judge = Callable[[BaseException], bool]

_judges: set[Judge] = set()


def heed(judge: Judge) -> None:
    """Ask this one too from now on; not every process has its neighbour, nor loads what defines that one's errors."""
    _judges.add(judge)


def is_outage(error: BaseException) -> bool:
    """Tell whether the error means that a neighbour is away, rather than that we are wrong."""
    return isinstance(error, OUTAGES) or any(judge(error) for judge in _judges)


def distrust(error: BaseException) -> str | None:
    """Say that a server did not prove who it is, if that is what the error is about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {error.verify_message}"
    return None
