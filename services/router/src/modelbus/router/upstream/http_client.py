"""The client that calls suppliers: our own, because what it costs is what a request costs (see docs/benchmarks.md)."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import lru_cache, partial
from types import TracebackType
from typing import Self

from modelbus.chassis.trust import trusted
from modelbus.router.domain.errors import LostError, MalformedAnswerError
from modelbus.router.upstream.client import Deadlines, Sink, Target
from modelbus.router.upstream.dialling import Dialler
from modelbus.router.upstream.exchange import STALLED, Exchange
from modelbus.router.upstream.places import Origin, place_of
from modelbus.router.upstream.pool import Pool

_FORBIDDEN = "\r\n\0"
_REMEMBERED = 4096
_SHOWS_WITHIN_S = 1.0
"""So soon after sending it shows that an idle connection was dropped; later the supplier was at work."""


class HttpClient:
    """Calls suppliers; an async context manager, because its connections belong to a loop."""

    def __init__(self, deadlines: Deadlines, *, connections: int, tls: ssl.SSLContext | None = None) -> None:
        self._deadlines = deadlines
        self._dialler = Dialler(deadlines.connect_s, tls or trusted())
        self._pool = Pool(self._dialler, most=connections)
        # The head is the same for every request of one source with one credential, but for the length.
        self._head_of = lru_cache(_REMEMBERED)(self._write_head)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return self._pool.made

    async def post(
        self, target: Target, body: bytes, *, until: float, deadlines: Deadlines | None = None
    ) -> "HttpAnswer":
        """Send JSON and answer when the headers have come."""
        limits = deadlines or self._deadlines
        origin, path = place_of(target.url, is_local=target.is_local)
        loop = asyncio.get_running_loop()
        now = loop.time()
        first_byte_at = now + limits.first_byte_s
        connect_by = min(now + limits.connect_s, first_byte_at, until)
        head = self._head_of(origin, path, *target.headers.items())
        request = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
        exchange, was_used = await self._exchange(origin, request, connect_by, until, is_fresh=False)
        sent_at = loop.time()
        try:
            await self._head(exchange, first_byte_at)
        except LostError:
            if not was_used or exchange.has_bytes or loop.time() - sent_at > _SHOWS_WITHIN_S:
                raise
            # The supplier had dropped an idle connection, most likely, which tells nothing about the supplier. A new
            # connection can't be one of those; the prompt may have arrived, so there is no third time.
            connect_by = min(loop.time() + limits.connect_s, until, first_byte_at)
            exchange, _ = await self._exchange(origin, request, connect_by, until, is_fresh=True)
            await self._head(exchange, first_byte_at)
        return HttpAnswer(exchange, loop, first_byte_at, limits.stall_s)

    async def _exchange(
        self, origin: Origin, request: bytes, connect_by: float, until: float, *, is_fresh: bool
    ) -> tuple[Exchange, bool]:
        connection = await self._pool.borrow(origin, by=connect_by, is_fresh=is_fresh)
        was_used = connection.exchanges > 0
        return connection.send(request, until=until, free=partial(self._pool.give_back, origin)), was_used

    async def _head(self, exchange: Exchange, by: float) -> None:
        is_answered = False
        try:
            await exchange.head(by=by, late="no answer in time")
            is_answered = True
        finally:
            # The caller is gone, if only at the moment at which the head has come, or the answer is: whatever the
            # supplier still does is stopped at once.
            if not is_answered:
                exchange.close()

    def _write_head(self, origin: Origin, path: str, *headers: tuple[str, str]) -> bytes:
        """Write what goes before the length; to a plain proxy with the whole URL (RFC 9112, section 3.2.2)."""
        is_proxied = not origin.is_tls and self._dialler.proxy_of(origin) is not None
        lines = [
            f"POST {f'http://{origin.authority}{path}' if is_proxied else path} HTTP/1.1",
            f"Host: {origin.authority}",
            "User-Agent: modelbus",
            "Accept-Encoding: identity",
        ]
        for name, value in headers:
            if any(sign in name or sign in value for sign in _FORBIDDEN):
                raise MalformedAnswerError("not reachable", f"the header {name!r} holds a line break")
            lines.append(f"{name}: {value}")
        return "\r\n".join([*lines, ""]).encode("latin-1")


class HttpAnswer:
    """An answer whose body is still to be read."""

    __slots__ = ("_exchange", "_first_byte_at", "_has_begun", "_loop", "_stall_s", "headers", "status")

    def __init__(
        self, exchange: Exchange, loop: asyncio.AbstractEventLoop, first_byte_at: float, stall_s: float
    ) -> None:
        self._exchange = exchange
        self._loop = loop
        self._first_byte_at = first_byte_at
        self._has_begun = False
        self._stall_s = stall_s
        self.status = exchange.status
        self.headers = exchange.headers

    @property
    def is_spent(self) -> bool:
        """Whether the body was read to its end."""
        return self._exchange.is_whole and not self._exchange.waiting_bytes

    async def read(self, limit: int) -> bytes:
        """Read the whole body, of at most `limit` bytes."""
        pieces, size = [], 0
        while piece := await self._piece():
            size += len(piece)
            if size > limit:
                self.close()
                raise MalformedAnswerError("answered too much", f"more than {limit} bytes")
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def iter(self) -> AsyncIterator[bytes]:
        """Read the body in pieces, as they come."""
        while piece := await self._piece():
            yield piece

    async def pour(self, sink: Sink) -> None:
        """Give the sink each piece at the moment it comes, until it wants no more or the body has ended."""
        await self._exchange.pour(sink, by=self._due(), stall_s=self._stall_s)

    async def _piece(self) -> bytes:
        return await self._exchange.piece(by=self._due(), late=STALLED)

    def _due(self) -> float:
        # From when it is asked for: a caller that is slow to take the piece before must not make the supplier late.
        by = self._loop.time() + self._stall_s if self._has_begun else self._first_byte_at
        self._has_begun = True
        return by

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        self._exchange.close()
