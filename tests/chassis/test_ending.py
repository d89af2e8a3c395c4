"""A process that was told to end has ended in time, whatever does not."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from faults.wires import Wire
from modelbus.chassis.messaging import Bus
from modelbus.chassis.service import EXIT_JOB_FAILED, EXIT_NOT_STARTED
from running import ADMIN_TOKEN, SERVICE_TOKEN, free_port
from testing_bus import LocalBus

PROGRAM = """
import asyncio, os, sys, threading
from contextlib import asynccontextmanager
from modelbus.chassis import ending, service
from modelbus.chassis.settings import ServiceSettings

ending.CLOSING_S = float(sys.argv[2])

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
        case "nothing, it does not start":
            raise RuntimeError("this does not start")

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
        ("nothing, it does not start", EXIT_NOT_STARTED, False),
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
        *(sys.executable, "-c", PROGRAM, what_hangs, "0.5" if is_forced else "30"),
        env=environment,
        stdout=PIPE,
        stderr=PIPE,
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


async def test_a_bus_that_does_not_answer_is_left_open(bus: LocalBus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbus.chassis.messaging.CLOSE_TIMEOUT_S", 0.2)
    wire = Wire(free_port(), int(bus.url.rpartition(":")[2]))
    await wire.mend()
    connection = Bus(f"nats://127.0.0.1:{wire.port}", service="test")
    connection.start()
    await connection.connected()
    await wire.suffer("half-open")

    # The client's own patience is twice as long.
    async with asyncio.timeout(5):
        await connection.stop()

    [closing] = [each for each in asyncio.all_tasks() if each.get_name() == "bus closes"]
    closing.cancel()
    await asyncio.wait({closing})
    await connection.broker.connection.close()
    await wire.remove()
