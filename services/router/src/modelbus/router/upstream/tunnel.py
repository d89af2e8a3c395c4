"""A tunnel through a proxy (CONNECT, RFC 9110, section 9.3.6), with TLS to the supplier inside it."""

import asyncio
import ssl

from modelbus.router.domain.errors import LostError
from modelbus.router.upstream.connection import Connection
from modelbus.router.upstream.places import Origin

_SUCCESS = range(200, 300)
MOST_HEAD_BYTES = 16 * 1024


class _Asking(asyncio.Protocol):
    """Reads the proxy's answer, and not a byte more than its head: what follows is the supplier's."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > MOST_HEAD_BYTES:
            self._settle(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._settle(error or ConnectionResetError("the proxy closed"))

    def _settle(self, error: Exception | None) -> None:
        if self.answered.done():
            return
        if error is None:
            self.answered.set_result(self._head)
        else:
            self.answered.set_exception(error)


async def open_tunnel(to_proxy: Connection, origin: Origin, tls: ssl.SSLContext) -> Connection:
    """Ask the proxy for a tunnel, and begin TLS with the supplier in it.

    Raises:
        LostError: the proxy refuses, or answers no HTTP.
        OSError: the connection is lost, or TLS fails.
    """
    loop, transport = asyncio.get_running_loop(), to_proxy.transport
    asking = _Asking()
    transport.set_protocol(asking)
    place = f"[{origin.host}]:{origin.port}" if ":" in origin.host else f"{origin.host}:{origin.port}"
    transport.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode("ascii"))
    head = await asking.answered
    version, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not status.isdigit() or int(status) not in _SUCCESS:
        transport.abort()
        raise LostError("connection lost", f"the proxy answered {rest[:60].decode('latin-1')!r} to CONNECT")
    connection = Connection(loop)
    secured = await loop.start_tls(transport, connection, tls, server_hostname=origin.host)
    if secured is None:
        raise LostError("connection lost", "the proxy closed the tunnel")
    connection.connection_made(secured)
    return connection
