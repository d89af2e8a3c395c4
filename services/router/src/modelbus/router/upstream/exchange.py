"""One request and its answer on a connection, parsed by httptools as it comes (HTTP/1.1, RFC 9112)."""

import asyncio
from typing import Protocol

import httptools

from modelbus.router.domain.errors import AttemptFailedError, LostError, MalformedAnswerError
from modelbus.router.upstream.client import Sink

MOST_HEAD_BYTES = 64 * 1024
PAUSE_AT = 256 * 1024
"""Bytes of a body that wait for the caller, above which reading stops until they are taken."""
STALLED = "stalled"
_NO_BODY = (204, 304)
_READ = {
    name.encode(): name
    for name in ("content-type", "content-length", "content-encoding", "transfer-encoding", "retry-after")
}
"""The headers that anybody here reads; suppliers send thirty, and each costs a request something."""
_FIRST_FINAL, _SWITCHING = 200, 101


class Line(Protocol):
    """What an exchange asks of its connection."""

    def wait_until(self, by: float, late: str) -> None:
        """Fail the exchange as late, unless it goes on before that loop time."""

    def read_on(self) -> None:
        """Read again after a pause."""

    def drop(self, exchange: "Exchange") -> None:
        """Close the connection if this is the exchange that is under way."""


class Exchange:
    """An answer as it comes; what has come stays here when the connection is used for the next one already."""

    __slots__ = (
        "_has_more",
        "_head_bytes",
        "_is_kept_alive",
        "_line",
        "_loop",
        "_parser",
        "_pieces",
        "_sink",
        "_stall_s",
        "_waiter",
        "ends_by_close",
        "failure",
        "has_bytes",
        "has_head",
        "headers",
        "is_whole",
        "status",
        "until",
        "waiting_bytes",
    )

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop, *, until: float) -> None:
        self._line = line
        self._loop = loop
        self.until = until
        """Loop time when all must be over."""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        self._sink: Sink | None = None
        """Who takes pieces as they come, `_stall_s` apart at most."""
        self._stall_s = 0.0
        self._head_bytes = 0
        self.waiting_bytes = 0
        """Bytes of the body that nobody has read."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.has_bytes = False
        """Whether anything of the answer has come."""
        self.has_head = False
        self.is_whole = False
        self.ends_by_close = False
        self._is_kept_alive = False
        self._has_more = False
        self.failure: AttemptFailedError | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for what comes next."""
        return self._waiter is not None

    @property
    def keeps_connection(self) -> bool:
        """Whether the connection may be used for another exchange after this one."""
        return self._is_kept_alive and not self._has_more and self.failure is None

    def feed(self, data: bytes) -> None:
        """Take what came."""
        assert self._parser is not None  # noqa: S101 - it is not over
        self.has_bytes = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_whole:
                self.fail(MalformedAnswerError("answered no HTTP", type(error).__name__))
                return
            self._is_kept_alive = False
        if not self.has_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self.fail(MalformedAnswerError("answered too much", f"a head of more than {MOST_HEAD_BYTES} bytes"))
        if self._sink is None or not self._goes_on(self._sink):
            self._wake()

    def end_of_line(self, error: Exception | None) -> None:
        """Take that the connection is gone: the end of a body that nothing else ends, else a loss."""
        if self.is_whole or self.failure is not None:
            return
        if self.has_head and self.ends_by_close and error is None:
            self.is_whole = True
            self._wake()
        else:
            self.fail(LostError("connection lost", type(error).__name__ if error else "closed early"))

    def fail(self, failure: AttemptFailedError) -> None:
        """End it; whoever waits is told."""
        self.failure = self.failure or failure
        self._wake()

    def rest(self) -> None:
        """Let the parser go: it refers to this, and the two would wait for the garbage collector."""
        self._parser = None

    def close(self) -> None:
        """Be done with it; an answer that has not come to its end takes its connection with it."""
        self._line.drop(self)

    async def head(self, *, by: float, late: str) -> None:
        """Wait for status and headers.

        Raises:
            AttemptFailedError: they do not come.
        """
        while not self.has_head:
            await self._next(by, late)

    async def piece(self, *, by: float, late: str) -> bytes:
        """Wait for what has come of the body since the last time; empty at its end.

        Raises:
            AttemptFailedError: it is lost or late.
        """
        while not self._pieces:
            if self.is_whole:
                return b""
            await self._next(by, late)
        return self._take()

    async def pour(self, sink: Sink, *, by: float, stall_s: float) -> None:
        """Give the sink what comes as it comes, until it wants no more or the body has ended, in whatever way."""
        if self._pieces and not sink(self._take()):
            return
        if self.is_whole or self.failure is not None:
            return
        self._sink, self._stall_s = sink, stall_s
        try:
            await self._wait(by, STALLED)
        finally:
            self._sink = None

    def _goes_on(self, sink: Sink) -> bool:
        """Give the sink what there is, and answer whether anything is still to come that it wants."""
        if self._pieces:
            if not sink(self._take()):
                self._sink = None
                return False
            self._line.wait_until(self._loop.time() + self._stall_s, STALLED)
        return not self.is_whole and self.failure is None

    def _take(self) -> bytes:
        piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self.waiting_bytes = 0
        self._line.read_on()
        return piece

    async def _next(self, by: float, late: str) -> None:
        self._check()
        await self._wait(by, late)
        if not self._pieces:
            self._check()

    async def _wait(self, by: float, late: str) -> None:
        self._line.wait_until(by, late)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What httptools tells.

    def on_message_begin(self) -> None:
        """See that more follows an answer that is whole: nobody asked for it, so the connection is done."""
        if self.is_whole:
            self._has_more = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header that is read; values of one name are joined."""
        key = _READ.get(name.lower())
        if key is None or self._has_more:
            return
        text = value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        """Know the head, unless it is an interim one (RFC 9110, section 15.2)."""
        assert self._parser is not None  # noqa: S101 - it tells this
        status = self._parser.get_status_code()
        if self._has_more:
            return
        if status < _FIRST_FINAL:
            self.headers = {}
            if status == _SWITCHING:
                self.failure = MalformedAnswerError("answered no HTTP", "switched to another protocol")
            return
        self.status, self.has_head = status, True
        has_length = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        self.ends_by_close = not has_length and status not in _NO_BODY

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        if not self._has_more:
            self._pieces.append(piece)
            self.waiting_bytes += len(piece)

    def on_message_complete(self) -> None:
        """Know the end."""
        assert self._parser is not None  # noqa: S101 - it tells this
        self.is_whole = self.has_head
        self._is_kept_alive = self.is_whole and not self.ends_by_close and bool(self._parser.should_keep_alive())
