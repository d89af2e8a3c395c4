import asyncio
import subprocess
import sys

import pytest

from modelbus.chassis import service
from modelbus.chassis.loops import pause_s, repeat, stop
from running import eventually


async def test_repeated_work_goes_on_after_outages() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        if len(done) < 4:
            raise ConnectionResetError

    task = asyncio.create_task(repeat("test", work, every_s=0.01))
    await eventually(lambda: len(done) > 6)
    await stop([task])


async def test_work_that_nobody_waits_for_begins_later() -> None:
    begun: list[float] = []
    now = asyncio.get_running_loop().time

    async def work() -> None:
        begun.append(now())

    asked = now()
    task = asyncio.create_task(repeat("test", work, every_s=0.01, after_s=0.2))
    await eventually(lambda: len(begun) > 1)
    await stop([task])

    assert begun[0] - asked >= 0.2 * 0.9
    assert begun[1] - begun[0] < 0.2


async def test_a_programming_error_ends_repeated_work() -> None:
    async def work() -> None:
        raise KeyError("mistake")

    with pytest.raises(KeyError, match="mistake"):
        await repeat("test", work, every_s=0.01)


def test_pauses_grow_to_a_bound() -> None:
    pauses = [pause_s(failures) for failures in range(1, 30)]

    assert pauses[0] <= 0.2
    assert all(0.05 <= pause <= 5.0 for pause in pauses)
    assert min(pauses[8:]) >= 2.5


async def test_a_failed_job_is_told_to_the_tests_that_run_it() -> None:
    async def fail() -> None:
        raise KeyError

    async with service.running({"failing": fail()}):
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert service.failed_jobs == ["failing"]
    service.failed_jobs.clear()  # or this test fails at its end, as it should


PROCESS = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from modelbus.chassis.service import running, serve
from modelbus.chassis.settings import ServiceSettings

async def fail():
    raise KeyError

@asynccontextmanager
async def lifespan(app):
    async with running({"failing": fail()}):
        yield

token = "a-token-of-the-tests"
serve(FastAPI(lifespan=lifespan), ServiceSettings(port=0, nats_url="nats://x", admin_token=token, service_token=token))
"""


def test_a_failed_job_ends_its_process_with_an_exit_code_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS], check=False, capture_output=True, text=True, timeout=60)

    assert done.returncode == service.EXIT_JOB_FAILED, done.stderr
