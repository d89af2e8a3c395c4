"""What was told of late, kept for a bus that loses everything it holds: nobody may have heard it yet."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime

from modelbus.router.ledger.looking import LOOK_EVERY_S
from modelbus.router.ledger.packing import Batch, batch_of

KEPT_S = 60.0 + LOOK_EVERY_S
"""A minute before it is noticed; whoever counts usage hears it within seconds, unless it is away."""
_MOST_BYTES = 6 * 1024 * 1024


class Told:
    """The lines of the spool that are on the bus, for `KEPT_S` or as many as there is room for."""

    def __init__(self, *, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lines: deque[tuple[float, bytes]] = deque()
        self._stream: datetime | None = None

    def __bool__(self) -> bool:
        return bool(self._lines)

    def keep(self, lines: Iterable[bytes], now: float) -> None:
        """Keep what was told just now; what is old, or too much, is forgotten."""
        for line in lines:
            self._lines.append((now, line))
            self._bytes += len(line)
        while self._lines and (self._lines[0][0] <= now - KEPT_S or self._bytes > self._most_bytes):
            self._bytes -= len(self._lines.popleft()[1])

    def lost_by(self, stream: datetime | None) -> Iterator[Batch]:
        """Answer what must be told again: nothing while the stream is the one, by when it was made, that was told."""
        if self._stream not in (None, stream):
            # One after the other: unpacked they are eight times as large.
            yield from (batch for _, line in tuple(self._lines) if (batch := batch_of(line)) is not None)

    def is_told_to(self, stream: datetime | None) -> None:
        """Take that this stream has it all."""
        self._stream = stream
