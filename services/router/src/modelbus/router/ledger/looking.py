"""When the stream of usage is asked whether it is still the one that was there: after a reconnect, and now and then."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from modelbus.chassis.messaging import Bus

LOOK_EVERY_S = 10.0
"""How late it is noticed that another stream was made, where the connection did not break for it."""


class Looking:
    """Knows after how many reconnects, and when, somebody looked last."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._looked = 0, -LOOK_EVERY_S

    def is_due(self) -> bool:
        """Tell whether to look again."""
        reconnects, at = self._looked
        return reconnects != self._bus.reconnects or monotonic() - at >= LOOK_EVERY_S

    @contextmanager
    def look(self) -> Iterator[None]:
        """Look in the block; it counts once that has ended well, from when it began."""
        looked = self._bus.reconnects, monotonic()
        yield
        self._looked = looked
