"""How soon integrity tells what broke, from the commit on: among ten thousand references, one by one and in a storm."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from uuid import UUID, uuid4

import psutil
from benchmarks.large_catalog import MIB, START_S
from benchmarks.tables import Say, Table, judged, median, quantile
from nats.aio.client import Client
from nats.aio.msg import Msg

from integrity.teller import FeedServer, Teller, a_chain, a_model, a_source
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.loops import stop
from modelbus.chassis.messaging import Bus
from modelbus.chassis.outbox import record
from modelbus.chassis.relay import Relay
from modelbus.contracts.bus import CATALOG
from modelbus.contracts.event import read_event
from modelbus.contracts.records import ModelRecord, Record, SourceRecord
from modelbus.contracts.references import ReferenceRestored, ReferenceStale
from modelbus.launcher.postgres import start_postgres
from running import ADMIN_TOKEN, SERVICE_TOKEN, eventually, free_port, serving
from servers import FreshDatabase, prepare_template
from testing_bus import LocalBus, local_bus

MODELS = 5_000
"""Each in a chain of its own, in front of one that all chains have: two references each."""
CHANGES = 300
"""Of one model at a time, after some that do not count."""
WARM = 20
FOUND_AIM_MS, STORM_AIM_S, MEMORY_AIM_MB = 100.0, 10.0, 400.0
STORM_ENDS_WITHIN_S = 120.0
GONE = {"is_available": False, "reason": "supplier_disabled"}
BACK = {"is_available": True, "reason": None}


@dataclass
class Ear:
    """Hears of places that name something stale, and of their return."""

    stale: set[UUID] = field(default_factory=set)
    """Findings that are open now."""
    told: int = 0
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, message: Msg) -> None:
        """Take one event."""
        if message.subject == ReferenceStale.type:
            found = read_event(ReferenceStale, message.data)
            if found.kind in {"dead", "degraded"}:
                self.stale.add(found.finding_id)
                self.told += 1
        else:
            self.stale.discard(read_event(ReferenceRestored, message.data).finding_id)
        self.news.set()

    async def wait_for(self, stale: int) -> None:
        """Wait until so many findings are open."""
        async with asyncio.timeout(STORM_ENDS_WITHIN_S):
            while len(self.stale) != stale:
                self.news.clear()
                await self.news.wait()


class Truth:
    """The catalog's own outbox and relay, and the feed of what was committed."""

    def __init__(self, feed: Teller, database: Database) -> None:
        self.feed, self._database = feed, database

    async def begin(self) -> None:
        """Take over the epoch of the outbox."""
        async with self._database.reading() as session:
            self.feed.epoch = (await outbox.read_head(session)).epoch

    async def commit(self, records: Iterable[Record]) -> None:
        """Commit changes in one transaction; the relay tells them."""
        async with self._database.transaction(Caller.system("benchmark")) as session:
            for each in records:
                await record(session, self.feed.commit(each).event)


@dataclass(frozen=True)
class Stage:
    """Integrity as a process, and a catalog that commits what it is told to."""

    catalog: Truth
    ear: Ear
    process: psutil.Process
    models: list[ModelRecord]
    sources: list[SourceRecord]

    @property
    def peak_mb(self) -> float:
        """Answer the most memory that the process ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return int(kib) / 1024

    @property
    def busy_s(self) -> float:
        """Answer the processor time that it has used."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


async def measure(directory: Path, say: Say) -> Table:
    """Change one model at a time, then a whole supplier, with and without a snapshot to catch up by."""
    server = start_postgres(directory / "integrity-postgres", port=0)
    try:
        databases = await prepare_template(server.url)
        async with databases.fresh() as fresh, local_bus(directory) as bus, _stage(directory, fresh, bus) as stage:
            resident = stage.process.memory_info().rss / MIB
            say(f"{CHANGES} models, one at a time, among {2 * MODELS} references")
            found_ms = await _one_by_one(stage)
            storms = {}
            for name, is_away in (("with a snapshot to catch up by", False), ("by the queue alone", True)):
                say(f"a supplier of {MODELS} models goes and comes, {name}")
                stage.catalog.feed.is_away = is_away
                storms[name] = await _storm(stage)
            return _table(found_ms, storms, resident, stage.peak_mb)
    finally:
        server.stop()


@asynccontextmanager
async def _stage(directory: Path, database: FreshDatabase, bus: LocalBus) -> AsyncIterator[Stage]:
    supplier, other = uuid4(), a_model()
    models = [a_model() for _ in range(MODELS)]
    sources = [a_source(model.id, supplier_id=supplier) for model in models]
    feed, ear = FeedServer(), Ear()
    chains = [a_chain(model, other, name=f"chain-{number}") for number, model in enumerate(models)]
    client = await bus.client()
    await _listen(client, ear)
    async with _told_by_relay(feed.catalog, database, bus) as truth:
        await truth.commit((other, a_source(other.id), a_source(other.id), *models, *sources, *chains))
        async with serving(feed.app()) as url, _process(directory, database, bus, url) as process:
            yield Stage(truth, ear, process, models, sources)
    await client.close()


@asynccontextmanager
async def _told_by_relay(feed: Teller, database: FreshDatabase, bus: LocalBus) -> AsyncIterator[Truth]:
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    connection = Bus(bus.url, service="catalog")
    connection.start()
    relaying = asyncio.create_task(Relay(opened, outbox, connection, CATALOG).run())
    truth = Truth(feed, opened)
    await truth.begin()
    try:
        yield truth
    finally:
        await stop([relaying])
        await connection.stop()
        await opened.close()


async def _listen(client: Client, ear: Ear) -> None:
    for event in (ReferenceStale, ReferenceRestored):
        await client.subscribe(event.type, cb=ear.take)


@asynccontextmanager
async def _process(
    directory: Path, database: FreshDatabase, bus: LocalBus, catalog_url: str
) -> AsyncIterator[psutil.Process]:
    settings = {
        "PORT": str(port := free_port()),
        "DATABASE_URL": database.url("integrity"),
        "NATS_URL": bus.url,
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "SERVICE_TOKEN": SERVICE_TOKEN,
        "CATALOG_URL": catalog_url,
        "LOG_LEVEL": "warning",
    }
    environment = {**os.environ, **{f"MODELBUS_{name}": value for name, value in settings.items()}}
    with (directory / "integrity.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelbus.integrity", "serve"),
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    async def is_ready() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health/ready HTTP/1.1\r\nHost: integrity\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return b" 200 " in answer.partition(b"\r\n")[0]

    try:
        await eventually(is_ready, within_s=START_S)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _one_by_one(stage: Stage) -> list[float]:
    took = []
    for model in stage.models[: WARM + CHANGES]:
        await stage.catalog.commit([model.model_copy(update=GONE)])
        begun = perf_counter()
        await stage.ear.wait_for(1)
        took.append(1000 * (perf_counter() - begun))
        await stage.catalog.commit([model.model_copy(update=BACK)])
        await stage.ear.wait_for(0)
    return took[WARM:]


async def _storm(stage: Stage) -> tuple[float, float, int]:
    """Answer the seconds until all was told, the processor time of integrity, and how many events that took."""
    everything = (*stage.sources, *stage.models)
    told, busy = stage.ear.told, stage.busy_s
    await stage.catalog.commit(each.model_copy(update=GONE) for each in everything)
    begun = perf_counter()
    await stage.ear.wait_for(MODELS)
    took = perf_counter() - begun
    result = took, stage.busy_s - busy, stage.ear.told - told
    await stage.catalog.commit(each.model_copy(update=BACK) for each in everything)
    await stage.ear.wait_for(0)
    return result


def _table(
    found_ms: list[float], storms: dict[str, tuple[float, float, int]], resident_mb: float, peak_mb: float
) -> Table:
    p99 = quantile(found_ms, 0.99)
    aim = judged(f"p99 < {FOUND_AIM_MS:.0f} ms", is_met=p99 < FOUND_AIM_MS)
    rows = [
        ("one model, committed until its finding is heard", f"{median(found_ms):.1f} ms", f"{p99:.1f} ms", aim),
    ]
    for name, (took, busy, told) in storms.items():
        aim = judged(f"< {STORM_AIM_S:.0f} s", is_met=took < STORM_AIM_S and told == MODELS)
        rows.append((f"{MODELS} models at once, {name}", f"{took:.1f} s", f"{busy:.1f} s busy, {told} told", aim))
    aim = judged(f"< {MEMORY_AIM_MB:.0f} MB", is_met=peak_mb < MEMORY_AIM_MB)
    rows.append(("memory, before and at most", f"{resident_mb:.0f} MB", f"{peak_mb:.0f} MB", aim))
    figures = {"found_ms": found_ms, "storms": storms, "resident_mb": resident_mb, "peak_mb": peak_mb}
    return Table((f"{2 * MODELS} references", "p50", "p99", "aim"), rows, figures)
