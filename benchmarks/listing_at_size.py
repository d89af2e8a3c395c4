"""What the transaction takes that applies a listing of hundreds, of ten thousand and of a hundred thousand models."""

import asyncio
import json
import os
import resource
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import sqlalchemy as sa
import uvloop
from benchmarks.tables import Say, Table, judged
from benchmarks.taking_in import listed
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import versions
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.actions.suppliers import create_supplier
from modelbus.catalog.api.suppliers import NewSupplier
from modelbus.catalog.domain.suppliers import SupplierKind
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.loops import stop
from modelbus.chassis.messaging import Bus
from modelbus.chassis.relay import Relay
from modelbus.contracts.bus import CATALOG
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import ListedModel, Listing
from modelbus.launcher.postgres import start_postgres
from modelbus.simulator import running_simulator
from servers import prepare_template
from testing_bus import local_bus

SIZES = (300, 10_000, 100_000)
RELAYED = 10_000
"""The size whose events are relayed too, on a bus that was empty."""
LOOK_S = 0.01
UNCHANGED = "unchanged, found by sync (unchanged)"
UNCHANGED_AIM_S, MEMORY_AIM_MB = 1.0, 600.0
KIB = 1024
WRITTEN = sa.text(
    "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS rows FROM pg_stat_xact_user_tables "
    "WHERE schemaname = 'catalog'"
)

_revisions = count(1)


@dataclass(frozen=True, slots=True)
class Applied:
    """What one application took, as the process that did it tells."""

    what: str
    seconds: float
    rows: dict[str, int]
    peak_mb: float
    """The most memory that the process ever held, the listing itself included."""


async def measure(directory: Path, say: Say) -> Table:
    """Apply listings of each size: for the first time, unchanged, and with one model in a hundred changed.

    Then have sync read one of each size, and find that it is unchanged.
    """
    server = start_postgres(directory / "listing-postgres", port=0)
    found: dict[int, list[Applied]] = {}
    events_per_s = 0.0
    try:
        databases = await prepare_template(server.url)
        for size in SIZES:
            async with databases.fresh() as fresh:
                found[size] = await _measured(fresh.url("catalog"), size)
                if size == RELAYED:
                    events_per_s = await _relayed(fresh.url("catalog"), directory)
                found[size] += await _taken_in(fresh.url("sync"), size)
            told = ", ".join(f"{each.what} {each.seconds:.2f} s" for each in found[size])
            say(f"{size} models: {told}")
    finally:
        server.stop()
    return _table(found, events_per_s)


async def _measured(url: str, size: int) -> list[Applied]:
    return await _apart("benchmarks.listing_at_size", url, str(size))


async def _taken_in(url: str, size: int) -> list[Applied]:
    async with running_simulator() as simulator:
        simulator.openrouter.serve_models(listed(size))
        return await _apart("benchmarks.taking_in", url, simulator.base_url(simulator.openrouter))


async def _apart(*told: str) -> list[Applied]:
    """Work in a process of its own, so that its memory is nobody else's."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = (sys.executable, "-m", *told)
    child = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    if child.returncode:
        raise RuntimeError(f"{' '.join(told)} ended with {child.returncode}")
    # It may log beside what it tells.
    return [Applied(**json.loads(line)) for line in said.splitlines() if line.startswith(b"{")]


async def _relayed(url: str, directory: Path) -> float:
    """Relay all that the outbox holds; answer the events a second."""
    database = Database(url, service="catalog", outbox=outbox)
    try:
        async with database.reading() as session:
            head = (await outbox.read_head(session)).revision
        async with local_bus(directory) as local:
            bus = Bus(local.url, service="catalog")
            bus.start()
            await bus.connected()
            relay, begun = Relay(database, outbox, bus, CATALOG), perf_counter()
            task = asyncio.create_task(relay.run())
            try:
                while relay.relayed < head:  # noqa: ASYNC110 - the relay tells nobody when it is done
                    await asyncio.sleep(LOOK_S)
                return head / (perf_counter() - begun)
            finally:
                await stop([task])
                await bus.stop()
    finally:
        await database.close()


def _table(found: dict[int, list[Applied]], events_per_s: float) -> Table:
    rows = [_row(size, each) for size, applied in found.items() for each in applied]
    rows.append((f"relaying the events of {RELAYED} models", "", "", f"{events_per_s:.0f} a second", "", ""))
    figures: dict[str, Any] = {str(size): [asdict(each) for each in applied] for size, applied in found.items()}
    columns = ("models listed", "s", "rows beside events", "events", "peak MB", "aim")
    return Table(columns, rows, figures | {"events_per_s": events_per_s})


def _row(size: int, applied: Applied) -> tuple[str, ...]:
    events = applied.rows.get(outbox.rows.name, 0)
    models, sources = applied.rows.get("models", 0), applied.rows.get("sources", 0)
    written = f"{sum(applied.rows.values()) - events} ({models} models, {sources} sources)"
    about = f"{size}, {applied.what}"
    return about, f"{applied.seconds:.2f}", written, str(events), f"{applied.peak_mb:.0f}", _aim(size, applied)


def _aim(size: int, applied: Applied) -> str:
    if size != SIZES[-1]:
        return ""
    if applied.what == UNCHANGED:
        is_met = applied.seconds < UNCHANGED_AIM_S and not any(applied.rows.values())
        return judged(f"< {UNCHANGED_AIM_S:.0f} s, nothing written", is_met=is_met)
    return judged(f"< {MEMORY_AIM_MB:.0f} MB", is_met=applied.peak_mb < MEMORY_AIM_MB)


async def _apply_all(url: str, size: int) -> None:
    database = Database(url, service="catalog", outbox=outbox, finish=versions.write)
    new = NewSupplier(
        name="aggregator",
        kind=SupplierKind.AGGREGATOR,
        base_url="http://127.0.0.1:9/v1",
        is_local=True,
        requires_credential=False,
    )
    try:
        async with database.transaction() as session:
            supplier = await create_supplier(session, new.fields())
        for what, changed in (("first time", 0), ("unchanged", 0), ("1 % changed", size // 100)):
            listing = Listing(
                run_id=new_id(), supplier_id=supplier.id, digest="", models=_listed(size, changed), left_out=[]
            )
            print(json.dumps(await _applied(database, listing, what)), flush=True)
    finally:
        await database.close()


async def _applied(database: Database, listing: Listing, what: str) -> dict[str, Any]:
    async with database.transaction() as session:
        # PostgreSQL still counts what this connection wrote a moment ago.
        before, begun = await _counted(session), perf_counter()
        await apply_listing(session, listing, next(_revisions))
        await versions.write(session)
        await outbox.flush(session)
        rows = await _counted(session) - before
    seconds, peak_kib = perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"what": what, "seconds": seconds, "rows": rows, "peak_mb": peak_kib / KIB}


async def _counted(session: AsyncSession) -> Counter[str]:
    return Counter({row.relname: row.rows for row in await session.execute(WRITTEN)})


def _listed(size: int, changed: int) -> list[ListedModel]:
    """Make a listing whose first entries cost something else."""
    return [
        ListedModel(
            upstream_name=f"vendor-{number % 50}/model-{number:06d}",
            display_name=f"Vendor {number % 50}: Model {number}",
            context_window=131_072,
            max_output_tokens=8_192,
            cost=CostPrices(input="0.25" if number < changed else "0.15", output="0.6", cached_input="0.075"),
        )
        for number in range(size)
    ]


if __name__ == "__main__":
    asyncio.run(_apply_all(sys.argv[1], int(sys.argv[2])), loop_factory=uvloop.new_event_loop)
