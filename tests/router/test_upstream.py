"""The client that calls suppliers, against suppliers that misbehave on the wire."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from modelbus.router.domain.errors import LostError, TimedOutError, UnreachableError
from modelbus.router.upstream.client import Client, Deadlines, Target
from modelbus.router.upstream.exchange import Exchange
from modelbus.router.upstream.http_client import HttpClient
from router.aiohttp_twin import AiohttpClient
from router.suppliers import read_request, supplier
from running import eventually

DEADLINES = Deadlines(connect_s=1, first_byte_s=5, stall_s=5)


@pytest.fixture(params=[HttpClient, AiohttpClient], ids=["own", "aiohttp"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """Our own client, and its twin on aiohttp: what one promises the other keeps as well."""
    async with request.param(DEADLINES, connections=20) as open_client:
        yield open_client


async def post(client: Client, url: str, *, is_local: bool = True) -> int:
    until = asyncio.get_running_loop().time() + 5
    answer = await client.post(Target(url, {}, is_local=is_local), b"{}", until=until)
    await answer.read(1000)
    return answer.status


async def test_a_prompt_is_delivered_twice_at_most_however_many_idle_connections_are_dropped(
    client: Client,
) -> None:
    connected, delivered, all_connected = 0, 0, asyncio.Event()

    async def serve_once_then_drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected, delivered
        connected += 1
        if connected <= 8:
            await read_request(reader)
            if connected == 8:
                all_connected.set()
            await all_connected.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await read_request(reader)
        delivered += 1

    async with supplier(serve_once_then_drop) as place:
        assert await asyncio.gather(*(post(client, place.base_url) for _ in range(8))) == [200] * 8

        with pytest.raises(LostError):
            await post(client, place.base_url)

    assert (delivered, connected) == (2, 9)


async def test_a_prompt_that_a_supplier_was_at_work_on_is_not_delivered_again_by_itself() -> None:
    delivered = 0

    async def serve_once_then_work_in_vain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal delivered
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await read_request(reader)
        delivered += 1
        # Longer than it takes to show that the connection had been dropped before.
        asyncio.get_running_loop().call_later(1.2, writer.close)
        await reader.read()

    async with HttpClient(DEADLINES, connections=20) as own, supplier(serve_once_then_work_in_vain) as place:
        assert await post(own, place.base_url) == 200

        with pytest.raises(LostError):
            await post(own, place.base_url)

    assert delivered == 1


async def test_who_leaves_at_the_very_moment_at_which_the_head_has_come_takes_the_connection_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left = asyncio.Event()

    async def begin_to_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        await reader.read()
        left.set()

    def feed_and_leave(exchange: Exchange, received: bytes) -> None:
        feed(exchange, received)
        asking.cancel()

    feed = Exchange.feed
    monkeypatch.setattr(Exchange, "feed", feed_and_leave)
    async with HttpClient(DEADLINES, connections=20) as own, supplier(begin_to_answer) as place:
        asking = asyncio.create_task(post(own, place.base_url))
        with pytest.raises(asyncio.CancelledError):
            await asking

        await asyncio.wait_for(left.wait(), 5)
        assert own.connections == 0


async def test_a_supplier_that_hangs_leaves_connections_for_the_others(client: Client) -> None:
    hanging = 0

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal hanging
        await read_request(reader)
        hanging += 1
        await reader.read()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with supplier(hang) as slow, supplier(serve) as quick:
        waiting = [asyncio.create_task(post(client, slow.base_url)) for _ in range(20)]
        await eventually(lambda: hanging >= 16)

        assert await post(client, quick.base_url) == 200
        ended = [task for task in waiting if task.cancel()]
        results = await asyncio.gather(*waiting, return_exceptions=True)

    assert len(ended) >= 16
    assert all(isinstance(each, asyncio.CancelledError | TimedOutError) for each in results)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_only_a_local_supplier_may_be_at_a_private_address(client: Client, host: str) -> None:
    connected = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connected
        connected += 1
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async with supplier(serve) as place:
        url = f"http://{host}:{place.port}/v1"
        # The connection that a local supplier leaves open is not lent to others either.
        assert await post(client, url, is_local=True) == 200
        with pytest.raises(UnreachableError, match="private"):
            await post(client, url, is_local=False)

    assert connected == 1


async def test_where_clouds_keep_their_secrets_is_no_supplier(client: Client) -> None:
    with pytest.raises(UnreachableError, match="no supplier"):
        await post(client, "http://169.254.169.254/v1", is_local=True)


@pytest.mark.parametrize("url", ["http://..a/v1", "http://a:99999/v1", "http:///v1", "nothing"])
async def test_a_url_that_names_no_host_is_not_reachable(client: Client, url: str) -> None:
    with pytest.raises(UnreachableError):
        await post(client, url)
