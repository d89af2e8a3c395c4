"""How many batches of usage a second the catalog and integrity hear, together and one by one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from time import perf_counter, process_time
from unittest.mock import patch
from uuid import uuid4

import sqlalchemy as sa
from benchmarks.tables import Say, Table

from integrity.spending import a_request, an_attempt, tell_usage
from integrity.teller import a_source
from modelbus.catalog.events import listen_to_usage as catalog_listens
from modelbus.catalog.store.tables import parking as catalog_parking
from modelbus.chassis import hearing
from modelbus.chassis.database import Database
from modelbus.chassis.hearing import Hearing
from modelbus.chassis.messaging import Bus
from modelbus.chassis.parking import Parking
from modelbus.integrity.events import listen_to_usage as integrity_listens
from modelbus.integrity.store.tables import SCHEMA
from modelbus.launcher.postgres import start_postgres
from running import eventually
from servers import Databases, prepare_template
from testing_bus import LocalBus, local_bus

BATCHES, REQUESTS = 6000, 20
ONE_BY_ONE = 1000
"""So many of them are heard by who takes each in a transaction of its own, which takes long enough."""
SOURCES = 300
HEARD_WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What it took to hear some batches."""

    per_s: float
    own_ms: float
    """Of the hearer's processor, for each batch."""


async def measure(directory: Path, say: Say) -> Table:
    """Let batches wait on a real stream, and have them counted, on a PostgreSQL that keeps its promises."""
    server = start_postgres(directory / "usage-postgres", port=0)
    parts: dict[str, tuple[Callable[[], Hearing], Parking]] = {
        "catalog": (catalog_listens, catalog_parking),
        "integrity": (integrity_listens, Parking(sa.MetaData(schema=SCHEMA))),
    }
    heard: dict[str, dict[str, Heard]] = {}
    try:
        databases = await prepare_template(server.url)
        for name, (listen, parking) in parts.items():
            heard[name] = {}
            for way, together, count in (("together", hearing.TOGETHER, BATCHES), ("one by one", 1, ONE_BY_ONE)):
                with patch.object(hearing, "TOGETHER", together):
                    async with local_bus(directory) as bus:
                        await _tell(bus, count)
                        heard[name][way] = await _heard(name, databases, bus, (listen(), parking), count)
                say(f"{name}, {way}: {heard[name][way].per_s:.0f} batches a second")
    finally:
        server.stop()
    return _table(heard)


def _table(heard: dict[str, dict[str, Heard]]) -> Table:
    rows = [
        (
            name,
            f"{ways['together'].per_s:.0f}/s, {ways['together'].own_ms:.2f} ms",
            f"{ways['one by one'].per_s:.0f}/s, {ways['one by one'].own_ms:.2f} ms",
            f"{ways['together'].per_s / ways['one by one'].per_s:.1f}",
        )
        for name, ways in heard.items()
    ]
    columns = (f"batches of {REQUESTS} requests", "heard together", "one by one", "ratio")
    figures = {name: {way: [each.per_s, each.own_ms] for way, each in ways.items()} for name, ways in heard.items()}
    return Table(columns, rows, figures)


async def _tell(bus: LocalBus, count: int) -> None:
    """Fill the stream before anybody hears."""
    sources = [a_source(uuid4()) for _ in range(SOURCES)]
    requests = [a_request(an_attempt(source)) for source in sources]
    client = await bus.client()
    for some in batched(range(count), 200):
        ones = [[requests[(REQUESTS * batch + each) % SOURCES] for each in range(REQUESTS)] for batch in some]
        await asyncio.gather(*(tell_usage(client.jetstream(), *each) for each in ones))
    await client.close()


async def _heard(
    service: str, databases: Databases, bus: LocalBus, listener: tuple[Hearing, Parking], count: int
) -> Heard:
    """Hear all of it, and see that it was counted."""
    attached, parking = listener
    async with databases.fresh() as fresh, _opened(fresh.url(service), service) as database:
        connection, client = Bus(bus.url, service=service), await bus.client()
        parking.keep_in(database)
        attached.attach(connection, database, parking)
        consumer, context = attached.consumer, client.jetstream()

        async def is_heard() -> bool:
            info = await context.consumer_info(consumer.stream.name, consumer.durable)
            return bool(info.num_pending == 0 and info.num_ack_pending == 0)

        begun, used = perf_counter(), process_time()
        connection.start()
        await eventually(is_heard, within_s=HEARD_WITHIN_S)
        took, used = perf_counter() - begun, process_time() - used
        await connection.stop()
        await client.close()
        async with database.reading() as session:
            counted = await session.scalar(sa.text(f"SELECT count(*) FROM {service}.heard_usage"))  # noqa: S608
        if counted != count:
            raise RuntimeError(f"{service} counted {counted} of {count} batches")
    return Heard(count / took, 1000 * used / count)


@asynccontextmanager
async def _opened(url: str, service: str) -> AsyncIterator[Database]:
    database = Database(url, service=service)
    try:
        yield database
    finally:
        await database.close()
