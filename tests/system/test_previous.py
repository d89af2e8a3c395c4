"""The release before this one serves while this one's migrations run, and beside it until all of it is replaced.

`previous/` holds it, and what runs is its own code. One catalog and one router of it are met by this release whenever
tests run; all four services are replaced under load by `make faults`.
"""

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
from nats.js import JetStreamContext

from faults.finding import check_recomputed
from faults.reading import Reading, check_told
from modelbus.chassis import last_known_good, topology
from modelbus.chassis.migrations import migrate
from modelbus.chassis.provision import DATABASE
from modelbus.chassis.replica import Replica, compare_all
from modelbus.contracts.bus import CATALOG, INTEGRITY, SYNC, USAGE
from modelbus.contracts.feed import Snapshot
from modelbus.launcher.nats import NatsServer
from modelbus.launcher.postgres import PostgresServer
from modelbus.simulator import Fault, running_simulator
from running import eventually
from servers import PASSWORDS, FreshDatabase
from system.earlier import Earlier, earlier_release
from system.lineup import Installation, Lineup, column, lined_up, rows
from system.replicas import OVERTAKEN, all_is_heard, end
from system.upgrading import FLIPPING, MODEL, Load, seed

pytestmark = pytest.mark.system

SPLIT = "later-split"
REVISION = "SELECT version_num FROM catalog.alembic_version"
MODELS = "SELECT name FROM catalog.models WHERE deleted_at IS NULL"
TOO_LONG = pytest.mark.skipif(os.environ.get("FAULTS") != "all", reason="it takes a minute: make faults")


@asynccontextmanager
async def installed_by(earlier: Earlier, directory: Path, *services: str) -> AsyncIterator[Installation]:
    """Answer an installation whose tables and streams are those of the earlier release."""

    async def prepare(postgres: PostgresServer, bus: NatsServer) -> FreshDatabase:
        database, log = FreshDatabase(postgres.url, DATABASE), directory / "steps.log"
        roles = {"MODELBUS_SUPERUSER_URL": postgres.url, "MODELBUS_ROLE_PASSWORDS": json.dumps(PASSWORDS)}
        earlier.run("chassis", "provision", roles, log)
        earlier.run("chassis", "topology", {"MODELBUS_NATS_URL": bus.url}, log)
        for service in PASSWORDS.keys() & services:
            earlier.run(service, "migrate", {"MODELBUS_DATABASE_URL": database.url(service)}, log)
        return database

    installation = await Installation.made(directory, prepare)
    try:
        yield installation
    finally:
        installation.stop()


@asynccontextmanager
async def serving_earlier(directory: Path, home: Path, *services: str) -> AsyncIterator[tuple[Lineup, Load]]:
    """Answer services of the earlier release that are ready, and what they are asked."""
    async with AsyncExitStack() as stack:
        earlier = stack.enter_context(earlier_release(directory / "earlier", *services))
        simulator = await stack.enter_async_context(running_simulator())
        simulator.openai.misbehave(Fault(tokens_per_second=100))
        installation = await stack.enter_async_context(installed_by(earlier, home, *services))
        lineup = await stack.enter_async_context(lined_up(installation, directory))
        for part in ("postgres", "nats"):
            await lineup.start(part)
        for part in services:
            await lineup.start(part, earlier.serve)
        load = await stack.enter_async_context(aclosing(await seed(lineup, simulator, is_listing="sync" in services)))
        await lineup.ready(*services)
        await lineup.caught_up("router")
        yield lineup, load


async def upgrade(lineup: Lineup, *services: str) -> None:
    """Do this release's steps that come before its services."""
    async with lineup.stream() as context:
        await topology.ensure(context)
    for service in PASSWORDS.keys() & services:
        url = lineup.installation.database.url(service)
        await asyncio.to_thread(migrate, f"modelbus.{service}", url, service)


async def make_split(lineup: Lineup) -> None:
    """Make what the earlier release has no word for."""
    model = await lineup.ask("GET", "catalog", f"/api/v1/models/{MODEL}")
    arms = [{"name": "one", "model_id": model["id"], "weight": 1}]
    await lineup.ask("POST", "catalog", "/api/v1/splits", json={"name": SPLIT, "arms": arms})


async def truth(lineup: Lineup, catalog: str) -> Replica:
    """Answer everything as a catalog tells it."""
    answer = (await lineup.send("GET", catalog, "/api/v1/snapshot")).raise_for_status()
    return held(msgspec.json.decode(answer.content, type=Snapshot))


def kept(file: Path) -> Replica:
    """Answer what a follower held when it ended."""
    snapshot = last_known_good.load(file)
    assert snapshot is not None
    return held(snapshot)


def held(snapshot: Snapshot) -> Replica:
    replica = Replica(frozenset(snapshot.records))
    replica.replace(snapshot)
    return replica


def differing(ours: Replica, theirs: Replica) -> int:
    """Count the records of our kinds that say something else there; each release has a shape of its own."""
    assert (ours.epoch, ours.revision) == (theirs.epoch, theirs.revision)
    return compare_all(ours.records, theirs.records).other


async def each_once(usage: Reading, context: JetStreamContext, answered: int) -> bool:
    """Tell whether the stream tells of all requests that were answered, and of each once."""
    await usage.go_on(context)
    told = Counter(each["id"] for message in usage.messages for each in json.loads(message.data or b"{}")["requests"])
    assert set(told.values()) <= {1}
    return len(told) == answered


@pytest.fixture
def home(public_directory: Path) -> Iterator[Path]:
    """A directory for servers of their own."""
    made = public_directory / f"previous-{uuid4().hex[:8]}"
    made.mkdir(mode=0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_the_release_before_serves_while_migrations_run_and_then_beside_this_one(
    tmp_path: Path, home: Path
) -> None:
    async with serving_earlier(tmp_path, home, "catalog", "router") as (lineup, load):
        async with load.kept_up():
            await load.goes_on()
            before = await column(lineup.installation, REVISION)
            await upgrade(lineup, "catalog")
            after = await column(lineup.installation, REVISION)
            await load.goes_on()
            await load.join("catalog-2")
            await load.goes_on()
        old, beside = await truth(lineup, "catalog"), await truth(lineup, "catalog-2")
        async with load.kept_up():
            await lineup.restart("catalog")
            await load.join("router-2")
            await load.goes_on()
        await make_split(lineup)
        await lineup.caught_up("router", "router-2")
        # Of two routers, by turns, only this release's knows it.
        await load.call(1, SPLIT)
        new = await truth(lineup, "catalog")
        stored = await column(lineup.installation, MODELS)
        async with lineup.stream() as context:
            await eventually(partial(each_once, Reading(USAGE), context, load.callers.answered.total()))
            await check_told(Reading(CATALOG), context, partial(rows, lineup.installation))

    assert before < after
    assert load.callers.failed == {}
    assert load.writers.failed == {}
    assert load.written <= set(stored)
    assert differing(old, beside) == 0
    assert differing(kept(tmp_path / "router" / "catalog.snapshot"), new) == 0
    assert kept(tmp_path / "router-2" / "catalog.snapshot").digests().items() <= new.digests().items()
    assert len(new.records["split"]) == 1


@TOO_LONG
@pytest.mark.timeout(300)
async def test_the_release_before_gives_way_service_by_service_and_nothing_is_lost(tmp_path: Path, home: Path) -> None:
    services = ("catalog", "router", "sync", "integrity")
    async with serving_earlier(tmp_path, home, *services) as (lineup, load):
        async with load.kept_up():
            await load.goes_on()
            await upgrade(lineup, *services)
            await load.goes_on()
            await load.join("catalog-2")
            await lineup.restart("catalog")
            await load.goes_on()
            await make_split(lineup)
            await load.join("router-2")
            for part in ("router", "sync", "integrity"):
                await lineup.restart(part)
                await load.goes_on()
        await lineup.ask("POST", "catalog", f"/api/v1/models/{FLIPPING}/disable?force=true")
        assert load.lister is not None
        ended = {run_id: await end(lineup, run_id) for run_id in load.lister.promised}
        await lineup.caught_up("router", "router-2")
        await eventually(partial(all_is_heard, lineup), within_s=30)
        swept = await lineup.ask("POST", "integrity", "/api/v1/sweeps")
        parked = [await lineup.ask("GET", part, "/api/v1/parked") for part in ("catalog", "sync", "integrity")]
        new = await truth(lineup, "catalog")
        stored = await column(lineup.installation, MODELS)
        fetch = partial(rows, lineup.installation)
        async with lineup.stream() as context:
            await eventually(partial(each_once, Reading(USAGE), context, load.callers.answered.total()))
            for stream in (CATALOG, SYNC, INTEGRITY):
                await check_told(Reading(stream), context, fetch)
        await check_recomputed(fetch)

    assert load.callers.failed == {}
    # Of sync there is one, and while it is replaced nobody answers.
    assert load.lister.syncs.failed.keys() <= {"503", "nobody answers"}
    assert load.writers.failed.keys() <= {"503"}, load.writers.passed_over
    assert load.written <= set(stored)
    assert set(ended.values()) <= {"applied", OVERTAKEN}
    assert (swept["drift"], swept["opened"], swept["closed"]) == ({}, 0, 0)
    assert [page["items"] for page in parked] == [[], [], []]
    # One began with what the earlier release had kept, the other with nothing.
    began, began_empty = (kept(tmp_path / router / "catalog.snapshot") for router in ("router", "router-2"))
    assert began.digests() == began_empty.digests()
    for copy in (began, began_empty, kept(tmp_path / "sync" / "catalog.json")):
        assert differing(copy, new) == 0
