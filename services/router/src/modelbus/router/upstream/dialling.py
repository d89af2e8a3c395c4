"""Making connections: names are resolved here, each address is guarded, and the first that answers is taken."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.request import getproxies

from modelbus.chassis.addresses import why_refused
from modelbus.router.domain.errors import NoConnectionError, UnreachableError
from modelbus.router.upstream.connection import Connection
from modelbus.router.upstream.names import Names
from modelbus.router.upstream.places import Origin, place_of
from modelbus.router.upstream.tunnel import open_tunnel

HEAD_START_S = 0.25
"""An address that does not answer gets that much before the next is tried beside it (RFC 8305)."""


@dataclass(slots=True)
class Dialler:
    """Connects to origins, through the proxy of the environment where there is one."""

    connect_s: float
    """Seconds for a connection, TLS and proxy included."""
    tls: ssl.SSLContext
    proxies: Mapping[str, str] = field(default_factory=getproxies)
    """Scheme to the proxy's URL, and `no` to the hosts that are called without (`HTTPS_PROXY`, `NO_PROXY`)."""
    _names: Names = field(default_factory=Names)

    def proxy_of(self, origin: Origin) -> Origin | None:
        """Answer the proxy that leads to the origin; None if it is called directly."""
        url = self.proxies.get("https" if origin.is_tls else "http") or self.proxies.get("all")
        if url is None or _is_called_directly(origin, self.proxies.get("no", "")):
            return None
        return place_of(url if "://" in url else f"http://{url}", is_local=True)[0]

    async def dial(self, origin: Origin, *, by: float) -> Connection:
        """Connect.

        Raises:
            UnreachableError: nothing answers there, or the supplier may not be there.
            NoConnectionError: it takes too long.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(min(by, loop.time() + self.connect_s)):
                return await self._through(origin, self.proxy_of(origin))
        except TimeoutError as error:
            raise NoConnectionError("no connection in time") from error
        except ssl.SSLError as error:
            raise UnreachableError("not reachable", f"TLS: {error.reason or type(error).__name__}") from error
        except OSError as error:
            raise UnreachableError("not reachable", type(error).__name__) from error

    async def _through(self, origin: Origin, proxy: Origin | None) -> Connection:
        if proxy is None:
            return await self._first_of(origin, await self._addresses(origin), tls=self.tls if origin.is_tls else None)
        # The proxy is the operator's, wherever it is; whether it leads anywhere private is for it to say.
        connection = await self._first_of(proxy, await self._addresses(proxy), tls=self.tls if proxy.is_tls else None)
        if not origin.is_tls:
            return connection
        tunnel: Connection | None = None
        try:
            tunnel = await open_tunnel(connection, origin, self.tls)
        finally:
            # Whatever ended it, be it that nobody waits any more.
            if tunnel is None:
                connection.abort()
        return tunnel

    async def _first_of(self, origin: Origin, addresses: list[str], *, tls: ssl.SSLContext | None) -> Connection:
        """Try one address after another, the next beside one that does not answer at once; the first made is taken."""
        trying: set[asyncio.Task[Connection]] = set()
        failed: BaseException | None = None
        try:
            for address in [*addresses, None]:
                if address is not None:
                    trying.add(asyncio.ensure_future(self._connect(address, origin, tls)))
                while trying:
                    head_start = HEAD_START_S if address is not None else None
                    done, trying = await asyncio.wait(trying, timeout=head_start, return_when=asyncio.FIRST_COMPLETED)
                    made = [task for task in done if not task.cancelled() and task.exception() is None]
                    if made:
                        first, *others = (task.result() for task in made)
                        for other in others:
                            other.abort()
                        return first
                    failed = next((task.exception() for task in done if not task.cancelled()), failed)
                    if not done or not trying:
                        break
            raise failed or UnreachableError("not reachable", "the name has no address")
        finally:
            for task in trying:
                task.cancel()
                task.add_done_callback(_drop)

    async def _connect(self, address: str, origin: Origin, tls: ssl.SSLContext | None) -> Connection:
        loop = asyncio.get_running_loop()
        # By host and port, never by `sock=`: uvloop 0.22 closes a descriptor twice there when it is cancelled, and
        # by then another connection may have its number.
        _, connection = await loop.create_connection(
            lambda: Connection(loop), address, origin.port, ssl=tls, server_hostname=origin.host if tls else None
        )
        return connection

    async def _addresses(self, origin: Origin) -> list[str]:
        """Resolve the origin's name and guard each address; what was resolved is what is connected to."""
        addresses = await self._names.addresses(origin.host, origin.port)
        for address in addresses:
            if reason := why_refused(address, is_local=origin.is_local):
                raise UnreachableError("not reachable", f"the host leads to {reason}")
        return addresses


def _is_called_directly(origin: Origin, exceptions: str) -> bool:
    """Tell whether `NO_PROXY` names the host, a domain above it, or everything; a port narrows it."""
    for exception in filter(None, (each.strip().lower() for each in exceptions.split(","))):
        name, _, port = exception.partition(":") if exception.count(":") == 1 else (exception, "", "")
        domain = name.removeprefix("*").removeprefix(".")
        is_meant = name == "*" or origin.host == domain or origin.host.endswith(f".{domain}")
        if is_meant and port in {"", str(origin.port)}:
            return True
    return False


def _drop(task: "asyncio.Task[Connection]") -> None:
    """Close a connection that came too late to be the first."""
    if not task.cancelled() and task.exception() is None:
        task.result().abort()
