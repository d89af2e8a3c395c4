"""How requests fare while ten thousand changes of the catalog come at once, or a new epoch of a large one."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

import msgspec
from benchmarks.connection import Connection
from benchmarks.gateway_load import Burden, at_pace
from benchmarks.gateway_subjects import (
    MODELS,
    PROVIDER_KEY,
    SMALL,
    SOURCES,
    Subject,
    late_feed,
    provider,
    router_process,
)
from benchmarks.tables import Say, Table, judged

from modelbus.chassis.ids import new_id
from modelbus.contracts.envelope import Envelope
from router.feeds import Feed
from router.routers import KEY
from router.seeding import Seed
from running import ADMIN_TOKEN, eventually
from testing_bus import LocalBus, local_bus

CHANGES = 10_000
PER_S, BEFORE_S, DURING_S, READING_S = 200, 5.0, 6.0, 15.0
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
        reading = await _new_epoch(directory, upstream, bus)
        say(f"while {SOURCES} sources are read: p99 {reading.p99_ms:.1f} ms, at most {reading.max_ms:.1f} ms")
    return _table(before, during, reading, took_s)


async def _new_epoch(directory: Path, upstream: Subject, bus: LocalBus) -> Burden:
    """Measure requests while the router reads a catalog that is as large as they get."""
    seed, file = Seed(), directory / "epoch.snapshot"
    seed.key(KEY)
    supplier = seed.supplier("provider", upstream.url + "/openai/v1")
    seed.credential(supplier, PROVIDER_KEY)
    seed.source(seed.model(SMALL), supplier, SMALL)
    async with late_feed(directory, file) as url, router_process(directory, seed, bus.url, url) as subject:
        await at_pace(subject, per_s=PER_S, seconds=1.0)
        models = [seed.model(f"maker/model-{number}") for number in range(MODELS)]
        for number in range(SOURCES // MODELS):
            other = seed.supplier(f"supplier-{number}")
            for model in models:
                seed.source(model, other, model.name)
        snapshot = msgspec.structs.replace(seed.snapshot(), epoch=new_id(), revision=seed.revision + 1)
        fresh = file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(snapshot))
        fresh.replace(file)
        during = await at_pace(subject, per_s=PER_S, seconds=READING_S)
        if not await _is_at(subject, snapshot.revision):
            raise RuntimeError(f"the snapshot was not read within {READING_S:.0f} s")
    return during


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


def _table(before: Burden, during: Burden, reading: Burden, took_s: float) -> Table:
    added = during.p99_ms - before.p99_ms
    rows = [
        ("before", *_times(before), f"{before.cpu_ms:.2f}", ""),
        (
            f"while {CHANGES} changes come",
            *_times(during),
            f"{during.cpu_ms:.2f}",
            judged(f"p99 at most {AIM_MS:.0f} ms more", is_met=added <= AIM_MS),
        ),
        ("seconds until all are in force", f"{took_s:.1f}", "", "", "", ""),
        (f"while a new epoch of {SOURCES} sources is read", *_times(reading), "", ""),
    ]
    figures = {
        "before_p99_ms": before.p99_ms,
        "during_p99_ms": during.p99_ms,
        "in_force_s": took_s,
        "reading_p99_ms": reading.p99_ms,
        "reading_max_ms": reading.max_ms,
    }
    columns = (f"requests at {PER_S}/s", "ms p50", "p99", "max", "processor ms each", "aim")
    return Table(columns, rows, {**figures, "python": sys.version.split()[0]})


def _times(burden: Burden) -> tuple[str, str, str]:
    return f"{burden.p50_ms:.2f}", f"{burden.p99_ms:.2f}", f"{burden.max_ms:.2f}"
