"""The transport of HTTP clients, by which a connection that is lost at once fails as any other that is lost."""

from typing import override

import httpx


class Carrier(httpx.AsyncHTTPTransport):
    """As httpx has it, but for one defect of what it stands on.

    On uvloop a connection that was reset before anybody looked at it has no socket any more, and anyio asks that for
    its peer: the AttributeError would be taken for a fault of ours, and end the service.
    """

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except AttributeError as error:
            if error.obj is not None or error.name not in {"getpeername", "getsockname", "family"}:
                raise
            raise httpx.ConnectError("the connection was reset as soon as it stood", request=request) from error
