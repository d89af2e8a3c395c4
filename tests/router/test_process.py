"""The router as a process: how it starts, ends, and what of it survives."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from modelbus.simulator import Fault, Simulator
from router.routers import KEY, PROMPT
from router.spools import spooled
from router.world import World
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, free_port

OF_OTHERS = {
    *("sqlalchemy", "asyncpg", "alembic"),  # of services with a database
    *("aiohttp", "rich", "pygments"),  # of what is installed beside it
    *("hypothesis", "pytest"),  # of tests
}
COMMAND = (sys.executable, "-m", "modelbus.router", "serve")


def environment(state_dir: Path, **more: str) -> dict[str, str]:
    return {
        "MODELBUS_PORT": str(free_port()),
        "MODELBUS_NATS_URL": f"nats://127.0.0.1:{free_port()}",
        "MODELBUS_CATALOG_URL": f"http://127.0.0.1:{free_port()}",
        "MODELBUS_ADMIN_TOKEN": ADMIN_TOKEN,
        "MODELBUS_SERVICE_TOKEN": SERVICE_TOKEN,
        "MODELBUS_MASTER_KEYS": MASTER_KEY,
        "MODELBUS_STATE_DIR": str(state_dir),
        "MODELBUS_LOG_LEVEL": "debug",
        **more,
    }


@asynccontextmanager
async def router_process(state_dir: Path, **more: str) -> AsyncIterator[tuple[Process, httpx.AsyncClient]]:
    """Start the router as its operators do, with everything else down; killed at the end if it still runs."""
    settings = environment(state_dir, **more)
    with (state_dir / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*COMMAND, env=settings, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{settings['MODELBUS_PORT']}"
    try:
        async with httpx.AsyncClient(base_url=url, headers={"x-api-key": KEY}, timeout=10) as http:
            await eventually(lambda: _is_ready(http))
            yield process, http
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_with_everything_else_down_it_starts_serves_and_logs_no_secret(world: World, tmp_path: Path) -> None:
    world.seed.save(tmp_path / "catalog.snapshot")
    async with router_process(tmp_path) as (_, http):
        answer = await http.post("/v1/chat/completions", json=PROMPT)

    log = (tmp_path / "log").read_text()
    assert answer.status_code == 200
    assert "last known good is loaded" in log
    for secret in (KEY, "sim-openai-key-1", ADMIN_TOKEN, SERVICE_TOKEN, MASTER_KEY):
        assert secret not in log


async def test_killed_in_the_midst_of_calls_it_has_recorded_each_that_was_answered(
    world: World, tmp_path: Path
) -> None:
    world.seed.save(tmp_path / "catalog.snapshot")
    answered: list[str] = []

    async def call_on(http: httpx.AsyncClient, *, is_stream: bool) -> None:
        with suppress(httpx.TransportError):
            while True:
                answer = await http.post("/v1/chat/completions", json=PROMPT | {"stream": is_stream})
                assert answer.text.endswith("data: [DONE]\n\n" if is_stream else "}")
                answered.append(answer.headers["x-request-id"])

    async with router_process(tmp_path) as (process, http):
        calls = [asyncio.create_task(call_on(http, is_stream=number % 2 == 0)) for number in range(8)]
        await eventually(lambda: len(answered) > 100)
        process.kill()
        await asyncio.gather(process.wait(), *calls)
    async with router_process(tmp_path):
        await eventually(lambda: set(answered) <= set(_requests(tmp_path)))

    told = _requests(tmp_path)
    assert len(told) == len(set(told))


async def test_told_to_stop_it_ends_what_runs_and_writes_its_usage(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(tokens_per_second=20))
    world.seed.save(tmp_path / "catalog.snapshot")
    async with router_process(tmp_path) as (process, http):
        async with http.stream("POST", "/v1/chat/completions", json=PROMPT | {"stream": True}) as answer:
            pieces = answer.aiter_text()
            text = await anext(pieces)
            process.send_signal(signal.SIGTERM)
            text += "".join([piece async for piece in pieces])
        async with asyncio.timeout(10):
            code = await process.wait()

    assert text.endswith("data: [DONE]\n\n")
    assert code == 0
    assert answer.headers["x-request-id"] in _requests(tmp_path)


async def test_it_never_loads_what_only_others_use(world: World, tmp_path: Path) -> None:
    world.seed.save(tmp_path / "catalog.snapshot")
    async with router_process(tmp_path, PYTHONPROFILEIMPORTTIME="1") as (process, http):
        for answer in (await http.post("/v1/chat/completions", json=PROMPT), await http.get("/openapi.json")):
            assert answer.status_code == 200
        process.terminate()
        await process.wait()

    said = (tmp_path / "log").read_text().splitlines()
    modules = {line.rpartition("|")[2].strip() for line in said if line.startswith("import time:")}
    # A package that is left out is told once, where it was missed.
    loaded = {package for package, count in Counter(each.partition(".")[0] for each in modules).items() if count > 1}
    assert "nats" in loaded
    assert loaded.isdisjoint(OF_OTHERS), loaded & OF_OTHERS


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"MODELBUS_MASTER_KEYS": "no-key"}, "MODELBUS_MASTER_KEYS"),
        ({"MODELBUS_CATALOG_URL": "nowhere"}, "MODELBUS_CATALOG_URL"),
        ({"MODELBUS_STALL_S": "-1"}, "MODELBUS_STALL_S"),
        ({"MODELBUS_ADMIN_TOKEN": "short"}, "MODELBUS_ADMIN_TOKEN"),
    ],
)
async def test_a_wrong_setting_is_one_clear_sentence(tmp_path: Path, wrong: dict[str, str], word: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, env=environment(tmp_path, **wrong), stdout=DEVNULL, stderr=PIPE
    )

    _, said = await process.communicate()

    assert process.returncode == 2
    assert word in said.decode()
    assert len(said.decode().splitlines()) == 1


async def _is_ready(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False


def _requests(state_dir: Path) -> list[str]:
    return [request["id"] for request in spooled(state_dir)]
