"""The router's client as it would be on aiohttp: a twin that keeps the same promises, slower."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache, partial
from itertools import product
from types import SimpleNamespace, TracebackType
from typing import Self

import aiohttp
from aiohttp import AddrInfoType
from yarl import URL

from modelbus.chassis.addresses import why_refused
from modelbus.router.domain.errors import (
    AttemptFailedError,
    LostError,
    MalformedAnswerError,
    TimedOutError,
    UnreachableError,
)
from modelbus.router.upstream.client import Deadlines, Sink, Target

# Below what providers and load balancers usually grant (60 s and more), so that we drop idle connections first.
_KEEP_ALIVE_S = 30.0
_DNS_S = 30
_LEAST_PER_HOST = 16


class AddressRefusedError(PermissionError):
    """The address is no supplier's."""


def guarded_socket(address: AddrInfoType, *, is_local: bool) -> socket.socket:
    """Make the socket for a connection to this address.

    Raises:
        AddressRefusedError: the supplier may not be there.
    """
    family, kind, protocol, _, endpoint = address
    if reason := why_refused(str(endpoint[0]), is_local=is_local):
        raise AddressRefusedError(f"the host leads to {reason}")
    return socket.socket(family, kind, protocol)


type _Way = tuple[bool, bool]
"""To a local supplier or not, over a connection that is fresh or perhaps used before."""

_url = lru_cache(1024)(URL)


class AiohttpClient:
    """Calls suppliers with aiohttp; an async context manager, because its sessions belong to a loop."""

    def __init__(self, deadlines: Deadlines, *, connections: int) -> None:
        self._deadlines = deadlines
        self._connections = connections
        self._sessions: dict[_Way, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        # Apart, so that no connection to a local supplier is ever found by another one.
        for is_local, is_fresh in product((False, True), repeat=2):
            self._sessions[is_local, is_fresh] = self._session(is_local=is_local, is_fresh=is_fresh)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()

    async def post(
        self, target: Target, body: bytes, *, until: float, deadlines: Deadlines | None = None
    ) -> "AiohttpAnswer":
        """Send JSON and answer when the headers have come."""
        limits = deadlines or self._deadlines
        first_byte_at = asyncio.get_running_loop().time() + limits.first_byte_s
        by, passage = min(first_byte_at, until), SimpleNamespace(is_reused=False)
        try:
            response = await self._send(target, body, by, passage, is_fresh=False)
        except LostError:
            if not passage.is_reused:
                raise
            # The supplier had dropped an idle connection, most likely, which tells nothing about the supplier. A new
            # connection can't be one of those; the prompt may have arrived, so there is no third time.
            response = await self._send(target, body, by, passage, is_fresh=True)
        return AiohttpAnswer(response, first_byte_at, limits.stall_s, until)

    async def _send(
        self, target: Target, body: bytes, by: float, passage: SimpleNamespace, *, is_fresh: bool
    ) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout_at(by):
                return await self._sessions[target.is_local, is_fresh].post(
                    _url(target.url),
                    data=body,
                    headers=target.headers,
                    allow_redirects=False,
                    trace_request_ctx=passage,
                )
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _failure(error) from error

    def _session(self, *, is_local: bool, is_fresh: bool) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                # One supplier that hangs must leave connections for the others.
                limit_per_host=max(self._connections // 4, _LEAST_PER_HOST),
                force_close=is_fresh,
                keepalive_timeout=None if is_fresh else _KEEP_ALIVE_S,
                ttl_dns_cache=_DNS_S,
                socket_factory=partial(guarded_socket, is_local=is_local),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            headers={"Accept-Encoding": "identity", "User-Agent": "modelbus"},
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._deadlines.connect_s, sock_connect=self._deadlines.connect_s
            ),
            trace_configs=[tracing],
        )


class AiohttpAnswer:
    """An answer whose body aiohttp reads."""

    def __init__(self, response: aiohttp.ClientResponse, first_byte_at: float, stall_s: float, until: float) -> None:
        self._response = response
        self._first_byte_at = first_byte_at
        self._stall_s = stall_s
        self._until = until
        self._failure: AttemptFailedError | None = None
        self.status = response.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in response.headers.items()}

    @property
    def is_spent(self) -> bool:
        """Whether the body was read to its end."""
        return self._response.content.at_eof()

    async def read(self, limit: int) -> bytes:
        """Read the whole body, of at most `limit` bytes."""
        pieces, size = [], 0
        async for piece in self.iter():
            size += len(piece)
            if size > limit:
                self.close()
                raise MalformedAnswerError("answered too much", f"more than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def iter(self) -> AsyncIterator[bytes]:
        """Read the body in pieces, as they come."""
        loop, by = asyncio.get_running_loop(), self._first_byte_at
        if self._failure is not None:
            raise self._failure
        while True:
            try:
                async with asyncio.timeout_at(min(by, self._until)):
                    piece = await self._response.content.readany()
            except TimeoutError as error:
                self.close()
                late = "too slow in all" if loop.time() >= self._until else "stalled"
                raise TimedOutError(late) from error
            except (aiohttp.ClientError, OSError) as error:
                self.close()
                raise LostError("connection lost", type(error).__name__) from error
            if not piece:
                return
            yield piece
            by = loop.time() + self._stall_s

    async def pour(self, sink: Sink) -> None:
        """Give the sink each piece, until it wants no more or the body ends; a failure is raised by the next read."""
        try:
            async for piece in self.iter():
                if not sink(piece):
                    return
        except AttemptFailedError as error:
            self._failure = error

    def close(self) -> None:
        """Close the connection, unless the body was read to its end."""
        self._response.close()


async def _note_reuse(_session: aiohttp.ClientSession, passage: SimpleNamespace, _params: object) -> None:
    passage.trace_request_ctx.is_reused = True


def _failure(error: aiohttp.ClientError | TimeoutError | ValueError) -> AttemptFailedError:
    detail = type(error).__name__
    match error:
        case aiohttp.ConnectionTimeoutError():
            return TimedOutError("no connection in time", detail)
        case TimeoutError():
            return TimedOutError("no answer in time", detail)
        case aiohttp.ClientConnectorError(os_error=AddressRefusedError() as refused):
            return UnreachableError("not reachable", str(refused))
        case aiohttp.ClientConnectorError() | ValueError():
            # A base URL can be written so that no host can be made of it.
            return UnreachableError("not reachable", detail)
        case aiohttp.ClientConnectionError():
            return LostError("connection lost", detail)
    return MalformedAnswerError("answered no HTTP", detail)
