"""The address guard: a supplier's name may lead to the internet only, unless it is marked as local.

Names are resolved here, once, and the connection goes to the very address that was checked: a second answer of the
name server can't lead elsewhere. Link-local addresses, where clouds serve their machines' secrets, are nobody's.
"""

import asyncio
import socket

import httpx

from modelbus.chassis.addresses import why_refused
from modelbus.sync.domain.errors import AddressRefusedError, SupplierAwayError

MOST_ADDRESSES = 4


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connects to addresses that the supplier may have; serves one supplier, then is closed."""

    def __init__(self, carrier: httpx.AsyncBaseTransport, *, is_local: bool) -> None:
        self._carrier = carrier
        self._is_local = is_local

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: D102 - httpx's own
        host = request.url.raw_host.decode("ascii")
        addresses = await _resolve(host, request.url.port, request.extensions.get("timeout", {}).get("connect"))
        for address in addresses:
            refuse_address(host, address, is_local=self._is_local)
        failure: Exception = SupplierAwayError(f"the host {host} has no address")
        for address in addresses[:MOST_ADDRESSES]:
            try:
                return await self._carrier.handle_async_request(_pinned(request, host, address))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        raise failure

    async def aclose(self) -> None:  # noqa: D102 - httpx's own
        await self._carrier.aclose()


def refuse_address(host: str, address: str, *, is_local: bool) -> None:
    """Let the address pass or raise AddressRefusedError."""
    if reason := why_refused(address, is_local=is_local):
        raise AddressRefusedError(f"the host {host} leads to {reason}")


def _pinned(request: httpx.Request, host: str, address: str) -> httpx.Request:
    """Send the request to the address; the Host header is set already, and TLS still asks for the name."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": host},
    )


async def _resolve(host: str, port: int | None, timeout_s: float | None) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise SupplierAwayError(f"the name server did not answer for {host}") from error
    except (OSError, UnicodeError) as error:
        raise SupplierAwayError(f"the host {host} can't be resolved") from error
    return list(dict.fromkeys(str(info[4][0]) for info in found))
