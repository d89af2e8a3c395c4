"""Disks fill up or cease to take writes: readiness says so, nothing is spoilt, and all goes on by itself afterwards."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from nats.js.api import DiscardPolicy

from faults.disks import only_read, small_disk
from modelbus.chassis.last_known_good import load
from modelbus.contracts.bus import CATALOG
from modelbus.simulator import Simulator, running_simulator
from router.feeds import Feed, tell
from router.routers import RunningRouter, running_router
from router.test_usage import listening
from router.world import World, a_world
from running import eventually
from system.lineup import Installation, Lineup, lined_up
from testing_bus import LocalBus

FULL = "No space left on device"
NAME = "catalog.snapshot"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture
def world(simulator: Simulator) -> World:
    return a_world(simulator)


async def readiness(router: RunningRouter) -> tuple[int, dict[str, str]]:
    answer = await router.http.get("/health/ready")
    return answer.status_code, answer.json().get("impaired", {})


async def ask(router: RunningRouter, count: int) -> list[UUID]:
    answers = [await router.complete() for _ in range(count)]
    assert {each.status_code for each in answers} == {httpx.codes.OK}
    return [UUID(each.headers["x-request-id"]) for each in answers]


async def test_a_router_whose_disk_is_full_serves_says_so_and_loses_nothing(
    world: World, bus: LocalBus, tmp_path: Path
) -> None:
    feed = Feed(world.seed)
    with small_disk(tmp_path / "disk", "256k") as disk:
        world.seed.save(disk.path / NAME)
        async with (
            listening(bus) as listener,
            feed.running() as url,
            running_router(disk.path, catalog_url=url, nats_url=bus.url) as router,
        ):
            await eventually(lambda: is_well(router))
            asked = await ask(router, 2)
            await eventually(lambda: len(listener.requests) == 2)
            disk.fill()
            client = await bus.client()
            await tell(client, feed.change(world.at_beta.model_copy(update={"priority": 5})))
            asked += await ask(router, 3)

            async def both_are_told() -> bool:
                status, impaired = await readiness(router)
                assert status == httpx.codes.OK
                return FULL in impaired.get("usage", "") and FULL in impaired.get("last_known_good", "")

            await eventually(both_are_told)
            kept = load(disk.path / NAME)
            assert kept is not None
            assert kept.revision < feed.seed.revision
            disk.free()
            await eventually(lambda: is_well(router), within_s=20)
            await client.close()
            told = await listener.heard(5)
            kept = load(disk.path / NAME)

    assert Counter(request.id for request in told) == Counter(asked)
    assert kept is not None
    assert kept.revision == feed.seed.revision


async def test_a_router_starts_and_serves_where_it_may_not_write_and_writes_when_it_may(
    world: World, bus: LocalBus, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    world.seed.save(state / NAME)
    with ExitStack() as locked:
        locked.enter_context(only_read(state))
        async with listening(bus) as listener, running_router(state, nats_url=bus.url) as router:
            asked = await ask(router, 3)

            async def is_told() -> bool:
                status, impaired = await readiness(router)
                assert status == httpx.codes.OK
                return "usage can't be written to disk" in impaired.get("usage", "")

            await eventually(is_told)
            assert listener.requests == []
            assert not (state / "usage").exists()
            locked.close()

            await eventually(lambda: is_well(router), within_s=20)
            told = await listener.heard(3)

    assert Counter(request.id for request in told) == Counter(asked)


async def is_well(router: RunningRouter) -> bool:
    return await readiness(router) == (httpx.codes.OK, {})


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
            return bool(answer.status_code == httpx.codes.SERVICE_UNAVAILABLE and answer.headers["retry-after"])

        await eventually(is_refused)
        assert (await lineup.missing("catalog"))["database"] == f"PostgreSQL takes no changes: {reason}"
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


@pytest.mark.skipif("FAULTS" not in os.environ, reason="NATS takes 15 s to say that it can't write: make faults")
async def test_what_can_not_be_told_or_stored_on_full_disks_is_told_and_stored_when_there_is_room(
    public_directory: Path, tmp_path: Path
) -> None:
    home = public_directory / f"disks-{uuid4().hex[:8]}"
    home.mkdir(mode=0o755)
    with small_disk(home / "postgres", "160m") as stored, small_disk(home / "nats", "16m") as told:
        installation = await Installation.made(home)
        async with a_catalog(installation, tmp_path) as lineup:
            await all_told(lineup)
            told.fill()
            made = {(await change(lineup)).json()["name"]}
            await eventually(partial(lacks, lineup, "relay", "the stream CATALOG takes no events"), within_s=20)
            stored.fill()
            made |= await fill_up(lineup)
            assert await lacks(lineup, "database", "PostgreSQL takes no changes: its disk is full")
            stored.free()
            told.free()
            # NATS gives a stream up that it could not write, until it is started again.
            await asyncio.to_thread(installation.nats.restart)

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
            "POST", "catalog", "/api/v1/models", json={"name": name, "description": uuid4().hex * 300}, timeout=30
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
