"""Disks of servers fill up or take no writes: readiness says so, nothing is spoilt, and all goes on afterwards."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from nats.js.api import DiscardPolicy

from faults.disks import only_read, small_disk
from launcher.tending import tended
from modelbus.contracts.bus import CATALOG
from modelbus.launcher.errors import HomeNotWritableError
from running import eventually
from system.lineup import Installation, Lineup, lined_up


@asynccontextmanager
async def a_catalog(installation: Installation, directory: Path) -> AsyncIterator[Lineup]:
    async with lined_up(installation, directory) as lineup:
        for part in ("postgres", "nats", "catalog"):
            await lineup.start(part)
        await lineup.ready("catalog")
        yield lineup


async def change(lineup: Lineup, **fields: Any) -> httpx.Response:
    """Make a model."""
    return await lineup.send("POST", "catalog", "/api/v1/models", json={"name": f"disk/{uuid4().hex}", **fields})


async def all_told(lineup: Lineup) -> None:
    """Wait until a change is made and told to its last hearer; it fails if the catalog has ended."""

    async def is_made() -> bool:
        return (await change(lineup)).status_code == httpx.codes.CREATED

    async def is_told() -> bool:
        head = (await lineup.ask("GET", "catalog", "/api/v1/head"))["revision"]
        return bool(await lineup.last_told() == head)

    await eventually(is_made, within_s=30)
    await eventually(is_told, within_s=30)
    await lineup.ready("catalog")


@pytest.fixture(scope="module")
async def installation(public_directory: Path) -> Installation:
    directory = public_directory / f"disks-{uuid4().hex[:8]}"
    directory.mkdir(mode=0o755)
    return await Installation.made(directory)


FULL_TABLE = """
    CREATE FUNCTION catalog.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;
    CREATE TRIGGER is_full BEFORE INSERT ON catalog.models EXECUTE FUNCTION catalog.full()
"""
"""As a table answers that can't grow."""
LARGE = uuid4().hex * 300
"""More than what a file may still have room for, on a full disk, in its last page."""
UNACKNOWLEDGED = "the stream CATALOG takes no events: NATS acknowledges none, as when its disk is full"
READS = "ALTER SYSTEM SET default_transaction_read_only = on"
WRITES = "ALTER SYSTEM RESET default_transaction_read_only"


@pytest.mark.parametrize(
    ("begin", "end", "reason"),
    [(READS, WRITES, "it only reads"), (FULL_TABLE, "DROP FUNCTION catalog.full CASCADE", "its disk is full")],
    ids=["only reads", "full"],
)
async def test_a_database_that_takes_no_changes_is_waited_for(
    installation: Installation, tmp_path: Path, begin: str, end: str, reason: str
) -> None:
    async with a_catalog(installation, tmp_path) as lineup:
        administrator = await asyncpg.connect(installation.database.superuser())
        await run(administrator, begin)

        async def is_refused() -> bool:
            answer = await change(lineup)
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert answer.headers["retry-after"]
            # What had begun before may still be taken, and then the next change is asked for.
            return (await lineup.missing("catalog"))["database"] == f"PostgreSQL takes no changes: {reason}"

        await eventually(is_refused)
        assert (await lineup.send("GET", "catalog", "/api/v1/models")).status_code == httpx.codes.OK
        await run(administrator, end)
        await administrator.close()

        await all_told(lineup)

    assert lineup.processes["catalog"].exitcode == 0


async def run(connection: "asyncpg.Connection[Any]", statements: str) -> None:
    await connection.execute("SET default_transaction_read_only = off")
    await connection.execute(statements)
    await connection.execute("SELECT pg_reload_conf()")


async def test_a_stream_that_takes_no_more_is_waited_for(installation: Installation, tmp_path: Path) -> None:
    async with a_catalog(installation, tmp_path) as lineup:
        await all_told(lineup)
        async with lineup.stream() as context:
            usual = (await context.stream_info(CATALOG.name)).config
            await context.update_stream(usual.evolve(discard=DiscardPolicy.NEW, max_bytes=1))
        assert (await change(lineup)).status_code == httpx.codes.CREATED
        await eventually(partial(lacks, lineup, "relay", "the stream CATALOG takes no events: refused revision"))
        async with lineup.stream() as context:
            await context.update_stream(usual)

        await all_told(lineup)

    assert lineup.processes["catalog"].exitcode == 0


async def test_a_store_that_only_reads_is_named_when_nats_starts_and_nothing_in_it_is_lost(
    installation: Installation, tmp_path: Path
) -> None:
    store = installation.nats.directory / "jetstream"
    async with a_catalog(installation, tmp_path) as lineup:
        await all_told(lineup)
        with only_read(store):
            with pytest.raises(HomeNotWritableError, match=f"No permission to write {store}"):
                await asyncio.to_thread(installation.nats.restart)
            assert (await change(lineup)).status_code == httpx.codes.CREATED
            assert "bus" in await lineup.missing("catalog")
        await asyncio.to_thread(installation.nats.restart)

        await all_told(lineup)

    assert lineup.processes["catalog"].exitcode == 0


@pytest.mark.skipif("FAULTS" not in os.environ, reason="NATS takes 15 s to say that it can't write: make faults")
async def test_what_can_not_be_told_or_stored_on_full_disks_is_told_and_stored_when_there_is_room(
    public_directory: Path, tmp_path: Path
) -> None:
    home = public_directory / f"disks-{uuid4().hex[:8]}"
    home.mkdir(mode=0o755)
    with small_disk(home / "postgres", "160m") as stored, small_disk(home / "nats", "32m") as told:
        installation = await Installation.made(home)
        async with lined_up(installation, tmp_path) as lineup:
            await lineup.start("postgres")
            with tended(tmp_path, installation.nats):
                await lineup.start("catalog")
                await all_told(lineup)
                told.fill()
                made = {(await change(lineup, description=LARGE)).json()["name"]}
                await eventually(partial(lacks, lineup, "relay", UNACKNOWLEDGED), within_s=40)
                stored.fill()
                made |= await fill_up(lineup)
                assert await lacks(lineup, "database", "PostgreSQL takes no changes: its disk is full")
                stored.free()
                told.free()

                await all_told(lineup)
                stored_names = await names(installation)

    assert made <= stored_names
    assert lineup.processes["catalog"].exitcode == 0


async def fill_up(lineup: Lineup) -> set[str]:
    """Make large models until the database has refused some; answer what was made."""
    made, refused = set(), 0
    while refused < 5:
        name = f"disk/{uuid4().hex}"
        answer = await lineup.send(
            "POST", "catalog", "/api/v1/models", json={"name": name, "description": LARGE}, timeout=30
        )
        if answer.status_code == httpx.codes.CREATED:
            made.add(name)
        else:
            assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
            refused += 1
    return made


async def names(installation: Installation) -> set[str]:
    connection = await asyncpg.connect(installation.database.superuser())
    rows = await connection.fetch("SELECT name FROM catalog.models")
    await connection.close()
    return {row[0] for row in rows}


async def lacks(lineup: Lineup, what: str, reason: str) -> bool:
    return (await lineup.missing("catalog")).get(what, "").startswith(reason)
