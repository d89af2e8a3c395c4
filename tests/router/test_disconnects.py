import asyncio
from pathlib import Path

import httpx
import pytest

from modelbus.simulator import Fault, Simulator
from router.routers import KEY, PROMPT, RunningRouter, running_router
from router.world import World
from running import eventually


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_caller_that_leaves_before_the_answer_takes_the_suppliers_request_along(
    router: RunningRouter, simulator: Simulator, is_stream: bool
) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True))
    asking = asyncio.create_task(router.complete(stream=is_stream))
    await eventually(lambda: simulator.openai.exchanges)

    asking.cancel()

    await eventually(lambda: simulator.openai.exchanges[0].client_disconnected, within_s=1)
    assert not simulator.openrouter.exchanges


async def test_a_caller_that_leaves_within_a_stream_takes_the_suppliers_stream_along(
    router: RunningRouter, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(tokens_per_second=5, reply_tokens=1000))
    async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
        await anext(answer.aiter_bytes())

    await eventually(lambda: simulator.openai.exchanges[0].client_disconnected, within_s=1)


async def test_a_caller_that_leaves_while_the_supplier_stalls_takes_the_stream_along(
    router: RunningRouter, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(stall_after_tokens=2))
    async with router.http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
        await anext(answer.aiter_bytes())

    await eventually(lambda: simulator.openai.exchanges[0].client_disconnected, within_s=1)


async def test_a_caller_that_does_not_read_does_not_make_the_router_hoard(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(reply_tokens=100_000))
    async with running_router(tmp_path, world.seed) as router:
        host, port = router.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        request = httpx.Request(
            "POST",
            router.url + "/v1/chat/completions",
            json=PROMPT | {"stream": True},
            headers={"Authorization": f"Bearer {KEY}"},
        )
        head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + request.content)
        await reader.readuntil(b"Hello")

        # The stream of some 20 MB is not finished, though nothing delays the supplier but the caller.
        async with asyncio.timeout(5):
            while not simulator.openai.exchanges[0].is_finished:
                try:
                    async with asyncio.timeout(0.5):
                        await eventually(lambda: simulator.openai.exchanges[0].is_finished)
                except TimeoutError:
                    break
        assert not simulator.openai.exchanges[0].is_finished
        writer.close()
        await eventually(lambda: simulator.openai.exchanges[0].client_disconnected, within_s=2)
