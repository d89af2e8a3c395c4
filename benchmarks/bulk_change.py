"""How long one call takes that changes ten thousand models, until each change is on the bus."""

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.connection import Connection
from benchmarks.large_catalog import LargeCatalog, large_catalog
from benchmarks.tables import Say, Table, judged

from modelbus.contracts.bus import CATALOG

MODELS, SUPPLIERS = 10_000, 10
LOOK_S = 0.01
AIM_S = 10.0

CHANGES: dict[str, dict[str, Any]] = {
    "a tier": {"tier": "pro"},
    "no longer active": {"is_active": False},
    "active again": {"is_active": True},
}
"""What one call brings over every model; switching off makes each unavailable, which is told besides."""


async def measure(directory: Path, say: Say) -> Table:
    """Fill a catalog, start it as a process, and change all its models by one call after the other."""
    say(f"filling {MODELS} models from each of {SUPPLIERS} suppliers")
    async with (
        large_catalog(directory, models=MODELS, suppliers=SUPPLIERS) as (catalog, _),
        catalog.connection() as connection,
    ):
        took = {}
        for what, change in CHANGES.items():
            took[what] = await _changed(catalog, connection, change)
            say(f"{what}: {took[what][1]:.2f} s")
        return _table(took, catalog.resident_mb)


async def _changed(catalog: LargeCatalog, connection: Connection, change: dict[str, Any]) -> tuple[float, float, int]:
    """Answer the seconds until the answer, those until the last event is in the stream, and the events."""
    client = await catalog.bus.client()
    try:
        before, head = await _streamed(client), await _head(connection)
        begun = perf_counter()
        request = connection.request("POST", "/api/v1/models/bulk", {"filter": {}, "change": change})
        (await connection.ask(request)).json()
        answered = perf_counter() - begun
        events = await _head(connection) - head
        while await _streamed(client) < before + events:  # noqa: ASYNC110 - the stream tells nobody
            await asyncio.sleep(LOOK_S)
        return answered, perf_counter() - begun, events
    finally:
        await client.close()


async def _streamed(client: Any) -> int:
    return int((await client.jetstream().stream_info(CATALOG.name)).state.messages)


async def _head(connection: Connection) -> int:
    return int((await connection.ask(connection.request("GET", "/api/v1/head"))).json()["revision"])


def _table(took: dict[str, tuple[float, float, int]], resident_mb: float) -> Table:
    rows = [
        (what, f"{answered:.2f}", f"{relayed:.2f}", str(events), judged(f"< {AIM_S:.0f} s", is_met=relayed < AIM_S))
        for what, (answered, relayed, events) in took.items()
    ]
    rows.append(("memory of the catalog after that, resident", f"{resident_mb:.0f} MB", "", "", ""))
    columns = (f"{MODELS} models with {SUPPLIERS} sources each", "s until answered", "s until relayed", "events", "aim")
    return Table(columns, rows, {"took": took, "resident_mb": resident_mb})
