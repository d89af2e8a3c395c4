"""How long a listing takes from an administrator's request through every service until its run says: applied."""

import asyncio
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.applying import RECORDING
from benchmarks.connection import Connection
from benchmarks.standing import administrator, standing
from benchmarks.tables import Say, Table, median

from whole import System

RUNS = 5
LOOK_S = 0.002
LATEST_S = 30.0


async def measure(directory: Path, say: Say) -> Table:
    """List a new supplier for the first time, and again with nothing changed; each run has a supplier of its own."""
    first: list[float] = []
    again: list[float] = []
    counts = 0
    async with standing(directory) as system:
        await system.control("openrouter", "listing", {"recording": RECORDING})
        async with administrator(system, "catalog") as catalog, administrator(system, "sync") as sync:
            for number in range(1, RUNS + 1):
                supplier = await _new_supplier(system, catalog, number)
                run, took = await _synced(catalog, sync, supplier)
                first.append(took)
                counts = run["added"]
                run, took = await _synced(catalog, sync, supplier)
                again.append(took)
                _expect(run["unchanged"], counts)
                say(f"run {number} of {RUNS}: first time {first[-1]:.0f} ms, unchanged {again[-1]:.0f} ms")
    rows = [
        (f"first time (median of {RUNS})", f"{median(first):.0f}", f"{max(first):.0f}"),
        (f"unchanged (median of {RUNS})", f"{median(again):.0f}", f"{max(again):.0f}"),
    ]
    figures = {"first_ms": first, "unchanged_ms": again}
    return Table((f"request to applied, {counts} models", "ms", "worst ms"), rows, figures)


async def _new_supplier(system: System, catalog: Connection, number: int) -> str:
    """Add a supplier under a namespace of its own, so that every listed model is new; it is listed on demand only."""
    new = {
        "name": f"benchmark-{number}",
        "namespace": f"benchmark-{number}",
        "kind": "aggregator",
        "flavour": "openrouter",
        "base_url": system.endpoints["simulator"] + "/openrouter/api/v1",
        "is_local": True,
        "requires_credential": False,
        "sync_interval_s": 0,
    }
    made = (await catalog.ask(catalog.request("POST", "/api/v1/suppliers", new))).json()
    return str(made["id"])


async def _synced(catalog: Connection, sync: Connection, supplier: str) -> tuple[dict[str, Any], float]:
    """Ask for a listing; answer its run and the milliseconds from before the request until it said that it ended."""
    request = catalog.request("POST", f"/api/v1/suppliers/{supplier}/sync")
    begun = perf_counter()
    run_id = (await catalog.ask(request)).json()["run_id"]
    question = sync.request("GET", f"/api/v1/runs/{run_id}")
    async with asyncio.timeout(LATEST_S):
        while True:
            answer = await sync.ask(question)
            # Sync may not have heard of it yet.
            run: dict[str, Any] = {"ended_at": None} if answer.status == 404 else answer.json()
            if run["ended_at"] is not None:
                took = 1000 * (perf_counter() - begun)
                _expect(run["status"], "applied")
                return run, took
            await asyncio.sleep(LOOK_S)


def _expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise RuntimeError(f"expected {wanted!r}, found {found!r}: the measurement would mean nothing")
