"""The transport of HTTP clients, by which a connection that is lost at once fails as any other that is lost."""

import ssl
from typing import override

import httpx

from modelbus.chassis.trust import trusted

_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20)


class Carrier(httpx.AsyncHTTPTransport):
    """As httpx has it, but for one defect of what it stands on, and for whom it believes: all clients the same.

    On uvloop a connection that was reset before anybody looked at it has no socket any more, and anyio asks that for
    its peer: the AttributeError would be taken for a fault of ours, and end the service.
    """

    def __init__(self, *, verify: ssl.SSLContext | None = None, limits: httpx.Limits = _LIMITS) -> None:
        super().__init__(verify=verify or trusted(), limits=limits)

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AttributeError as error:
            if error.obj is not None or error.name not in {"getpeername", "getsockname", "family"}:
                raise
            raise httpx.ConnectError("the connection was reset as soon as it stood", request=request) from error
