"""What nobody foresaw, and callers and suppliers that would be waited for without end."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from modelbus.router.journey.calls import Calls
from modelbus.simulator import Simulator
from router.routers import PROMPT, RunningRouter, running_router
from router.spools import spooled
from router.suppliers import read_request, supplier
from router.test_disconnects import Torrent
from router.world import World
from running import eventually


async def test_an_error_of_ours_is_owned_up_to_in_the_envelope_and_in_the_usage(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(Calls, "make", broken)
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete()

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (500, "internal_error", "server_error")
    assert "secret" not in answer.text
    [request] = spooled(tmp_path)
    assert (request["id"], request["status"]) == (answer.headers["x-request-id"], 500)
    assert (request["outcome"], request["attempts"][0]["outcome"]) == ("failed", "failed")


async def test_a_listing_that_fails_is_owned_up_to_as_well(
    router: RunningRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("modelbus.router.ingress.door.admit", broken)

    answer = await router.http.get("/v1/models")

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")


async def test_a_base_url_that_names_no_host_is_passed_over(world: World, tmp_path: Path) -> None:
    nowhere = world.seed.supplier("nowhere", "http://..a/v1", requires_credential=False)
    world.seed.source(world.model, nowhere, priority=0)
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete()

    assert (answer.status_code, answer.headers["x-modelbus-attempts"]) == (200, "2")


async def test_a_supplier_that_is_not_local_is_not_called_at_a_private_address(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    world.seed.put(world.acme.model_copy(update={"is_local": False}))
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete()

    assert answer.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert not simulator.openai.exchanges
    assert "private" in spooled(tmp_path)[0]["attempts"][0]["error"]


async def test_a_caller_that_does_not_read_is_not_waited_for_without_end(world: World, tmp_path: Path) -> None:
    torrent = Torrent()
    async with torrent.running() as base_url:
        torrential = world.seed.model("torrent")
        world.seed.source(torrential, world.seed.supplier("torrent", base_url, requires_credential=False))
        async with running_router(tmp_path, world.seed, total_s=0.5) as router:
            body = PROMPT | {"model": "torrent", "stream": True}
            async with router.http.stream("POST", "/v1/chat/completions", json=body) as answer:
                pieces = answer.aiter_bytes()  # held: the caller would leave with it
                await anext(pieces)

                await eventually(lambda: torrent.is_let_go)

    [request] = spooled(tmp_path)
    assert (request["outcome"], request["attempts"][0]["outcome"]) == ("cut", "cut")


async def test_a_stream_of_comments_is_not_waited_for_without_end(world: World, tmp_path: Path) -> None:
    async def ping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        while True:
            writer.write(b": ping\n\n")
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), 0.05)
                return

    async with supplier(ping) as place:
        pinging = world.seed.supplier("pinging", place.base_url, requires_credential=False)
        world.seed.source(world.model, pinging, priority=0)
        async with running_router(tmp_path, world.seed, first_token_s=1) as router:
            answer = await router.complete(stream=True)

    assert answer.headers["x-modelbus-source"] == str(world.at_acme.id)
    assert "[DONE]" in answer.text
    assert spooled(tmp_path)[0]["attempts"][0]["error"] == "sent no token in time"
