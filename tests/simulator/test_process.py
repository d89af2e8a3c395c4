"""The simulator as a process of its own."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from modelbus.simulator import Fault, running_simulator


@asynccontextmanager
async def serving(*flags: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "modelbus.simulator",
        "serve",
        *flags,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ready_line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    return json.loads(await process.stdout.readline())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_within_a_second_even_with_open_streams(number: signal.Signals) -> None:
    async with serving("--port", "0") as process:
        ready = await ready_line(process)
        async with aiohttp.ClientSession(ready["url"]) as http:
            rules = [{"fault": {"accept_and_hang": True}, "path": "models"}, {"fault": {"tokens_per_second": 1}}]
            async with http.put("/_control/openai/behaviours", json=rules):
                pass
            headers = {"Authorization": "Bearer sim-openai-key-1"}
            hang = asyncio.ensure_future(http.get("/openai/v1/models", headers=headers))
            body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            async with http.post("/openai/v1/chat/completions", json=body, headers=headers) as answer:
                await answer.content.readline()

                process.send_signal(number)
                started = time.monotonic()
                output, errors = await process.communicate()

                assert time.monotonic() - started < 5  # as the open stream would take longer
                assert (process.returncode, output, errors) == (0, b"", b"")
            with pytest.raises(aiohttp.ClientError):
                await hang


async def test_the_environment_says_where_and_flags_say_it_louder() -> None:
    where = {"MODELBUS_SIMULATOR_HOST": "256.0.0.1", "MODELBUS_SIMULATOR_PORT": "0"}
    async with serving("--host", "127.0.0.1", **where) as process:
        ready = await ready_line(process)

    assert ready["event"] == "simulator_ready"
    assert ready["url"].startswith("http://127.0.0.1:")


async def test_a_taken_port_is_said_in_one_line() -> None:
    async with running_simulator() as simulator, serving("--port", simulator.url.rsplit(":")[-1]) as process:
        _, errors = await process.communicate()

    assert process.returncode == 1
    assert errors.startswith(b"cannot listen on 127.0.0.1:")
    assert errors.count(b"\n") == 1


async def test_leaving_ends_hangs_which_are_not_the_clients_doing() -> None:
    async with AsyncExitStack() as inside, aiohttp.ClientSession() as http:
        simulator = await inside.enter_async_context(running_simulator())
        simulator.openai.misbehave(Fault(hang_after_headers=True))
        async with http.get(simulator.url + "/openai/v1/models") as answer:
            async with asyncio.timeout(1):
                await inside.aclose()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()

    assert simulator.openai.exchanges[-1].is_finished
    assert not simulator.openai.exchanges[-1].client_disconnected
