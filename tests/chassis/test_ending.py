"""A process that was told to end has ended in time, whatever does not."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from modelbus.chassis.service import EXIT_JOB_FAILED
from running import ADMIN_TOKEN, SERVICE_TOKEN, free_port

PROGRAM = """
import asyncio, os, sys, threading
from contextlib import asynccontextmanager
from modelbus.chassis import ending, service
from modelbus.chassis.settings import ServiceSettings

ending.CLOSING_S = 0.5

async def never():
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("is cancelled", flush=True)

async def fail():
    await asyncio.sleep(0)
    raise RuntimeError("this job fails")

@asynccontextmanager
async def lifespan(_app):
    print("has begun", flush=True)
    match sys.argv[1]:
        case "a job that waits on":
            async with service.running({"waits on": never()}):
                yield
        case "a job that waits on, one that fails":
            async with service.running({"waits on": never(), "fails": fail()}):
                yield
        case "a task that nobody waits for":
            task = asyncio.create_task(never())
            yield
        case "a thread":
            asyncio.get_running_loop().run_in_executor(None, threading.Event().wait)
            yield
        case "nothing":
            yield

def create_app(settings):
    return service.build(title="T", description="", settings=settings, lifespan=lifespan, checks={}, statuses={})

service.start(create_app, ServiceSettings(), name="test")
"""


@pytest.mark.parametrize(
    ("what_hangs", "code", "is_forced"),
    [
        ("a job that waits on", 0, True),
        ("a job that waits on, one that fails", EXIT_JOB_FAILED, True),
        ("a task that nobody waits for", 0, True),
        ("a thread", 0, True),
        ("nothing", 0, False),
    ],
)
async def test_what_can_not_be_closed_holds_nobody_up(
    tmp_path: Path, what_hangs: str, code: int, *, is_forced: bool
) -> None:
    environment = {
        "MODELBUS_PORT": str(free_port()),
        "MODELBUS_ADMIN_TOKEN": ADMIN_TOKEN,
        "MODELBUS_SERVICE_TOKEN": SERVICE_TOKEN,
        "MODELBUS_STATE_DIR": str(tmp_path),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, what_hangs, env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(30):
            assert process.stdout is not None
            await process.stdout.readuntil(b"has begun\n")
            if not code:
                process.send_signal(signal.SIGTERM)
            said, wrong = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    assert process.returncode == code, (said, wrong)
    assert (b"not all could be closed in time" in said) is is_forced, (said, wrong)
