"""Connections that are lost at once fail as others do, whatever the client's library makes of them."""

import socket
from typing import override

import httpcore
import httpx
import pytest

from modelbus.chassis.carrier import Carrier
from modelbus.chassis.trust import trusted


class Vanished(httpcore.AsyncNetworkBackend):
    """What anyio does on uvloop with a connection that is reset as soon as it stands: it has no socket."""

    def __init__(self, found: socket.socket | None) -> None:
        self._found = found

    @override
    async def connect_tcp(self, *_: object, **__: object) -> httpcore.AsyncNetworkStream:
        self._found.getpeername()  # type: ignore[union-attr]
        raise OSError


def carrying(found: socket.socket | None) -> httpx.AsyncClient:
    carrier = Carrier()
    carrier._pool = httpcore.AsyncConnectionPool(network_backend=Vanished(found))
    return httpx.AsyncClient(transport=carrier, trust_env=False)


async def test_a_connection_that_is_reset_as_soon_as_it_stands_is_an_outage_and_no_fault_of_ours() -> None:
    async with carrying(None) as client:
        with pytest.raises(httpx.ConnectError, match="reset"):
            await client.get("http://127.0.0.1:9/")


def test_all_clients_share_what_they_believe() -> None:
    first, second = Carrier(), Carrier()

    assert first._pool._ssl_context is second._pool._ssl_context is trusted()


async def test_a_fault_of_ours_stays_one() -> None:
    class Wrong(socket.socket):
        @property
        def getpeername(self) -> object:  # type: ignore[override]
            raise AttributeError("no such thing", name="getpeername", obj=self)

    with Wrong() as wrong:
        async with carrying(wrong) as client:
            with pytest.raises(AttributeError, match="no such thing"):
                await client.get("http://127.0.0.1:9/")
