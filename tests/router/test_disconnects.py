import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from modelbus.simulator import Fault, Simulator
from router.routers import PROMPT, RunningRouter, running_router
from router.world import World
from running import eventually


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_caller_that_leaves_before_the_answer_takes_the_suppliers_request_along(
    router: RunningRouter, simulator: Simulator, *, is_stream: bool
) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True))
    asking = asyncio.create_task(router.complete(stream=is_stream))
    await eventually(lambda: simulator.openai.exchanges)

    asking.cancel()

    await eventually(lambda: simulator.openai.exchanges[0].client_disconnected)
    assert not simulator.openrouter.exchanges


async def test_a_caller_that_leaves_within_a_stream_takes_the_suppliers_stream_along(
    router: RunningRouter, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(tokens_per_second=5, reply_tokens=1000))
    async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
        await anext(answer.aiter_bytes())

    await eventually(lambda: simulator.openai.exchanges[0].client_disconnected)


async def test_a_caller_that_leaves_while_the_supplier_stalls_takes_the_stream_along(
    router: RunningRouter, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(stall_after_tokens=2))
    async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
        await anext(answer.aiter_bytes())

    await eventually(lambda: simulator.openai.exchanges[0].client_disconnected)


class Torrent:
    """A provider that streams as fast as it is read, for ever."""

    def __init__(self) -> None:
        self.sent = 0
        self.is_let_go = False
        self._steady_at = -1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._stream, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        async with server:
            yield f"http://{host}:{port}/v1"

    def is_held_back(self) -> bool:
        """Nothing more could be sent since this was asked before."""
        was, self._steady_at = self._steady_at, self.sent
        return self.sent == was > 0

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        event = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * 65536 + b'"}}]}\n\n'
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        with suppress(ConnectionError):
            while self.sent < 256 * 1024 * 1024:
                writer.write(event)
                await writer.drain()
                self.sent += len(event)
        self.is_let_go = True
        writer.close()


async def test_a_caller_that_does_not_read_does_not_make_the_router_hoard(world: World, tmp_path: Path) -> None:
    torrent = Torrent()
    async with torrent.running() as base_url:
        torrential = world.seed.model("torrent")
        supplier = world.seed.supplier("torrent", base_url, requires_credential=False)
        world.seed.source(torrential, supplier)
        async with running_router(tmp_path, world.seed) as router:
            body = PROMPT | {"model": "torrent", "stream": True}
            async with router.http.stream("POST", "/v1/chat/completions", json=body) as answer:
                pieces = answer.aiter_bytes()  # held: the caller would leave with it
                await anext(pieces)

                # Many a moment without a byte more: what was sent fills the sockets' buffers and no memory of ours.
                for _ in range(10):
                    await eventually(torrent.is_held_back)
                assert torrent.sent < 64 * 1024 * 1024
