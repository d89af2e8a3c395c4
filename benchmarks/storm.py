"""How requests fare while ten thousand changes of the catalog come at once."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from benchmarks.connection import Connection
from benchmarks.gateway_load import Burden, at_pace
from benchmarks.gateway_subjects import PROVIDER_KEY, SMALL, Subject, provider, router_process
from benchmarks.tables import Say, Table, judged

from modelbus.contracts.envelope import Envelope
from router.feeds import Feed
from router.routers import KEY
from router.seeding import Seed
from running import ADMIN_TOKEN, eventually
from testing_bus import LocalBus, local_bus

CHANGES = 10_000
PER_S, BEFORE_S, DURING_S = 200, 5.0, 6.0
AIM_MS = 10.0
_TOLD_AT_ONCE = 50


async def measure(directory: Path, say: Say) -> Table:
    """Measure requests before the storm and in it."""
    seed = Seed()
    seed.key(KEY)
    models = [seed.model(f"maker/model-{number}") for number in range(CHANGES)]
    async with provider(directory) as upstream, local_bus(directory) as bus:
        supplier = seed.supplier("provider", upstream.url + "/openai/v1")
        seed.credential(supplier, PROVIDER_KEY)
        seed.source(seed.model(SMALL), supplier, SMALL)
        for model in models:
            seed.source(model, supplier, model.name)
        feed = Feed(seed)
        async with feed.running() as url, router_process(directory, seed, bus.url, url) as subject:
            await eventually(lambda: _is_at(subject, seed.revision), within_s=30)
            before = await at_pace(subject, per_s=PER_S, seconds=BEFORE_S)
            say(f"before: p99 {before.p99_ms:.1f} ms")
            changes = [feed.change(model.model_copy(update={"display_name": "changed"})) for model in models]
            during, took_s = await _storm(subject, bus, changes, seed.revision)
            say(f"during: p99 {during.p99_ms:.1f} ms, all in force after {took_s:.1f} s")
    return _table(before, during, took_s)


async def _storm(subject: Subject, bus: LocalBus, changes: Sequence[Envelope], revision: int) -> tuple[Burden, float]:
    client, begun = await bus.client(), perf_counter()

    async def tell() -> float:
        for first in range(0, len(changes), _TOLD_AT_ONCE):
            for change in changes[first : first + _TOLD_AT_ONCE]:
                await client.publish(change.type, change.data, headers=change.headers())
            await client.flush()
        await eventually(lambda: _is_at(subject, revision), within_s=60)
        return perf_counter() - begun

    telling = asyncio.create_task(tell())
    during = await at_pace(subject, per_s=PER_S, seconds=DURING_S)
    took_s = await telling
    await client.close()
    return during, took_s


async def _is_at(subject: Subject, revision: int) -> bool:
    async with Connection(subject.url, ADMIN_TOKEN) as connection:
        shown = (await connection.ask(connection.request("GET", "/api/v1/cache"))).json()
    return bool(shown["is_loaded"]) and int(shown["revision"]) >= revision


def _table(before: Burden, during: Burden, took_s: float) -> Table:
    added = during.p99_ms - before.p99_ms
    rows = [
        ("before", f"{before.p50_ms:.2f}", f"{before.p99_ms:.2f}", f"{before.cpu_ms:.2f}", ""),
        (
            f"while {CHANGES} changes come",
            f"{during.p50_ms:.2f}",
            f"{during.p99_ms:.2f}",
            f"{during.cpu_ms:.2f}",
            judged(f"p99 at most {AIM_MS:.0f} ms more", is_met=added <= AIM_MS),
        ),
        ("seconds until all are in force", f"{took_s:.1f}", "", "", ""),
    ]
    figures = {"before_p99_ms": before.p99_ms, "during_p99_ms": during.p99_ms, "in_force_s": took_s}
    columns = (f"requests at {PER_S}/s", "ms p50", "p99", "processor ms each", "aim")
    return Table(columns, rows, {**figures, "python": sys.version.split()[0]})
