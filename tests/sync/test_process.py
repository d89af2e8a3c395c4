"""Sync as a process: it may be killed at any time, and says clearly what is wrong with its settings."""

import asyncio
import os
import sys
from pathlib import Path

from modelbus.contracts.sync import ListingFetched
from modelbus.simulator import Fault
from running import MASTER_KEY, eventually, free_port
from servers import Databases
from sync.catalog_stand_in import a_supplier
from sync.running_sync import neighbours, running_sync


async def start(step: str, environment: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "modelbus.sync",
        step,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_run_whose_process_was_killed_is_taken_up_by_another(
    databases: Databases, public_directory: Path, tmp_path: Path
) -> None:
    async with neighbours(databases, public_directory, tmp_path) as around:
        supplier = a_supplier(around.simulator.base_url(around.simulator.openrouter))
        await around.catalog.put(supplier)
        around.simulator.openrouter.misbehave(Fault(accept_and_hang=True), times=1)
        settings = {**around.settings, "port": free_port(), "fetch_read_s": 60, "fetch_deadline_s": 60}
        process = await start("serve", {f"MODELBUS_{name.upper()}": str(value) for name, value in settings.items()})
        run_id = await around.catalog.request(supplier)
        await eventually(lambda: len(around.simulator.openrouter.exchanges) == 1, within_s=20)

        process.kill()
        await process.communicate()
        async with running_sync(around) as sync:
            run = await sync.run_in(run_id, "fetched")
            told = await sync.told_of(ListingFetched, run["id"])

    assert len(around.simulator.openrouter.exchanges) == 2
    assert len(told) == 1


async def test_a_service_that_stops_gives_its_run_back_at_once(
    databases: Databases, public_directory: Path, tmp_path: Path
) -> None:
    async with neighbours(databases, public_directory, tmp_path) as around:
        around.settings["sync_lease_s"] = 600
        supplier = a_supplier(around.simulator.base_url(around.simulator.openrouter))
        await around.catalog.put(supplier)
        around.simulator.openrouter.misbehave(Fault(latency_ms=1900))
        around.settings["fetch_read_s"] = 10
        async with running_sync(around):
            run_id = await around.catalog.request(supplier)
            await eventually(lambda: len(around.simulator.openrouter.exchanges) == 1)
        around.simulator.openrouter.behave()

        async with running_sync(around) as sync:
            run = await sync.run_in(run_id, "fetched")

    assert run["attempts"] == 1


async def test_a_wrong_setting_is_one_sentence_and_exit_code_2() -> None:
    environment = {
        "MODELBUS_DATABASE_URL": "postgresql://sync:secret-password@127.0.0.1:9/modelbus",
        "MODELBUS_ADMIN_TOKEN": "short",
        "MODELBUS_SERVICE_TOKEN": "service-of-the-tests",
        "MODELBUS_MASTER_KEYS": MASTER_KEY,
    }

    process = await start("serve", environment)
    _, complaint = await process.communicate()

    assert process.returncode == 2
    assert "MODELBUS_ADMIN_TOKEN" in complaint.decode()
    assert "short\n" not in complaint.decode()
    assert complaint.decode().count("\n") == 1
