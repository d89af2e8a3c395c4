"""How long the catalog's transaction takes that applies a listing, and what it writes."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from benchmarks.tables import Say, Table, median
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import versions
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.actions.suppliers import create_supplier
from modelbus.catalog.api.suppliers import NewSupplier
from modelbus.catalog.domain.suppliers import Supplier, SupplierKind
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.sync import Listing
from modelbus.launcher.postgres import start_postgres
from modelbus.simulator.listings import recorded_listing
from modelbus.sync.clients.flavours.openrouter import read_listing
from servers import Databases, prepare_template

RECORDING = "2025-04-23"
RUNS = 15
WRITTEN = sa.text(
    "SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS rows FROM pg_stat_xact_user_tables "
    "WHERE schemaname = 'catalog'"
)


@dataclass(frozen=True, slots=True)
class Written:
    """What one application wrote."""

    rows: dict[str, int]
    """By table, the outbox among them."""
    events: int

    def told(self) -> str:
        """Say it."""
        tables = ", ".join(f"{count} {table}" for table, count in self.rows.items())
        return f"{sum(self.rows.values())} ({tables})"


async def measure(directory: Path, say: Say) -> Table:
    """Apply the same listing to an empty catalog and again to the full one, on a PostgreSQL that keeps its promises."""
    server = start_postgres(directory / "postgres", port=0)
    try:
        databases = await prepare_template(server.url)
        first: list[float] = []
        again: list[float] = []
        for run in range(1, RUNS + 1):
            async with _catalog(databases) as (catalog, supplier):
                first.append(await _timed(catalog, supplier))
                again.append(await _timed(catalog, supplier))
            say(f"run {run} of {RUNS}: first time {first[-1]:.0f} ms, unchanged {again[-1]:.0f} ms")
        async with _catalog(databases) as (catalog, supplier):
            written = await _written(catalog, supplier), await _written(catalog, supplier)
    finally:
        server.stop()
    return _table((first, again), written)


def _table(took: tuple[list[float], list[float]], written: tuple[Written, Written]) -> Table:
    rows = [
        (what, f"{median(times):.0f}", f"{max(times):.0f}", each.told(), str(each.events))
        for what, times, each in zip(
            (f"first time (median of {RUNS})", f"unchanged (median of {RUNS})"), took, written, strict=True
        )
    ]
    figures = {"first_ms": took[0], "unchanged_ms": took[1], "rows": [each.rows for each in written]}
    columns = (f"applying {len(_listed())} models", "ms", "worst ms", "rows written", "events told")
    return Table(columns, rows, figures)


@asynccontextmanager
async def _catalog(databases: Databases) -> AsyncIterator[tuple[Database, Supplier]]:
    """Make an empty catalog with one supplier; making that opens the connection, which is not to be measured."""
    async with databases.fresh() as fresh:
        catalog = Database(fresh.url("catalog"), service="catalog", outbox=outbox, finish=versions.write)
        url = "http://127.0.0.1:9/v1"
        new = NewSupplier(name="aggregator", kind=SupplierKind.AGGREGATOR, base_url=url, is_local=True)
        try:
            async with catalog.transaction() as session:
                supplier = await create_supplier(session, new.fields())
            yield catalog, supplier
        finally:
            await catalog.close()


_revisions = count(1)


async def _timed(catalog: Database, supplier: Supplier) -> float:
    """Answer the milliseconds from the transaction's begin to its commit, events included."""
    listing, begun = _listing(supplier), perf_counter()
    async with catalog.transaction() as session:
        await apply_listing(session, listing, next(_revisions))
    return 1000 * (perf_counter() - begun)


async def _written(catalog: Database, supplier: Supplier) -> Written:
    """Apply it untimed, and ask PostgreSQL before the commit what the transaction has written."""
    async with catalog.transaction() as session:
        # PostgreSQL still counts what this connection wrote a moment ago.
        before = await _counted(session)
        await apply_listing(session, _listing(supplier), next(_revisions))
        await versions.write(session)
        await outbox.flush(session)
        rows = await _counted(session) - before
    return Written(dict(rows.most_common()), rows[outbox.rows.name])


async def _counted(session: AsyncSession) -> Counter[str]:
    return Counter({row.relname: row.rows for row in await session.execute(WRITTEN)})


def _listing(supplier: Supplier) -> Listing:
    return Listing(run_id=new_id(), supplier_id=supplier.id, digest="", models=_listed(), left_out=[])


def _listed() -> list[Any]:
    return read_listing({"data": list(recorded_listing(RECORDING).items)}).models
