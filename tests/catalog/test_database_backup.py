"""A database that was backed up and put back by PostgreSQL's own programs serves on, and every copy follows it back."""

import asyncio
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from builders import a_model
from catalog.test_feed import administrator, assert_equal_to_truth, following
from catalogs import settings_for
from modelbus.catalog.app import create_app
from modelbus.chassis.provision import provision
from modelbus.launcher.binaries import postgres_programs
from running import serving
from servers import PASSWORDS, FreshDatabase
from testing_bus import LocalBus


async def test_a_restored_backup_begins_a_new_epoch_and_copies_that_were_ahead_follow_it(
    database: FreshDatabase, bus: LocalBus, tmp_path: Path
) -> None:
    kept, dump = tmp_path / "last-known-good.json", tmp_path / "modelbus.dump"
    async with serving(create_app(settings_for(database, bus.url))) as url, administrator(url) as http:
        model = await a_model(http)
        await program("pg_dump", "--format=custom", f"--file={dump}", database.superuser())
        lost = await a_model(http)
        async with following(url, bus.url, kept) as follower:
            await assert_equal_to_truth(follower, http)
            epoch, ahead = follower.epoch, follower.revision

    restored = replace(database, name=f"restored_{uuid4().hex[:12]}")
    await provision(restored.superuser_url, PASSWORDS, database=restored.name)
    options = ("--clean", "--if-exists", "--exit-on-error", "--single-transaction")
    await program("pg_restore", *options, f"--dbname={restored.superuser()}", str(dump))

    async with (
        serving(create_app(settings_for(restored, bus.url))) as url,
        administrator(url) as http,
        following(url, bus.url, kept) as follower,
    ):
        await assert_equal_to_truth(follower, http)
        new = await a_model(http)
        await assert_equal_to_truth(follower, http)
        assert {str(each) for each in follower.records["model"]} == {model["id"], new["id"]}
        assert lost["id"] not in {str(each) for each in follower.records["model"]}
        assert follower.epoch != epoch
        assert follower.revision > ahead


async def program(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        postgres_programs() / name, *arguments, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, complaint.decode()
