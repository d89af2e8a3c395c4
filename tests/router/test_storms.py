"""A storm of changes: whatever waits beside it has its turns, however many changes come at once."""

import asyncio
import gc
import threading
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from modelbus.chassis import memory
from modelbus.chassis.feed import Applied
from modelbus.router.cache.table import Table
from router.feeds import Feed
from router.routers import RunningRouter, running_router
from router.world import World
from running import eventually
from testing_bus import LocalBus

CHANGES = 3000
SOURCES = 2500
LEAST_TURNS = 5
"""Built in the loop itself, it would have none."""


async def is_at(router: RunningRouter, revision: int) -> bool:
    cache = await router.cache()
    return int(cache["revision"]) >= revision


@pytest.mark.parametrize("by", ["bus", "http"])
async def test_requests_are_served_in_the_midst_of_a_storm(
    world: World, tmp_path: Path, bus: LocalBus, by: str
) -> None:
    feed, seen = Feed(world.seed), set[int]()
    async with feed.running() as url, running_router(tmp_path, catalog_url=url, nats_url=bus.url) as router:
        await eventually(partial(is_at, router, 1))
        client = await bus.client()
        records = [world.at_beta.model_copy(update={"priority": number}) for number in range(2, CHANGES + 2)]
        envelopes = [feed.change(record) for record in records]
        # Of a storm that only the last event tells of, the router asks for the rest over HTTP.
        for envelope in envelopes if by == "bus" else envelopes[-1:]:
            await client.publish(envelope.type, envelope.data, headers=envelope.headers())
        told = asyncio.create_task(client.flush())
        while max(seen, default=0) < feed.seed.revision:
            answers = await asyncio.wait_for(asyncio.gather(*(router.complete() for _ in range(3))), 10)
            assert {answer.status_code for answer in answers} == {200}
            seen |= {int(answer.headers["x-modelbus-revision"]) for answer in answers}
        await told
        await client.close()
        cache = await router.cache()

    assert cache["digests"] == world.seed.snapshot().digests
    assert any(1 < revision < feed.seed.revision for revision in seen), f"only before and after it: {sorted(seen)}"


async def test_a_whole_snapshot_is_read_beside_the_requests(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    build = Table.after

    def watched(table: Table, applied: Applied, epoch: UUID, revision: int) -> Table:
        threads.append(threading.current_thread())
        return build(table, applied, epoch, revision)

    monkeypatch.setattr(Table, "after", watched)
    async with Feed(world.seed).running() as url, running_router(tmp_path, catalog_url=url) as router:
        await eventually(partial(is_at, router, 1))
        answer = await router.complete()

    assert answer.status_code == 200
    assert threads
    assert threading.main_thread() not in threads


async def test_while_a_large_snapshot_is_read_the_loop_goes_on_and_nothing_is_collected(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(SOURCES):
        world.seed.source(world.seed.model(f"model-{number}"), world.acme)
    monkeypatch.setattr(memory, "MANY", SOURCES)
    turns, collections, build = list[int](), list[str](), Table.after
    turned = 0

    def watched(table: Table, applied: Applied, epoch: UUID, revision: int) -> Table:
        gc.callbacks.append(lambda phase, _: collections.append(phase))
        before = turned
        after = build(table, applied, epoch, revision)
        turns.append(turned - before)
        gc.callbacks.pop()
        return after

    async def turn() -> None:
        nonlocal turned
        while True:
            turned += 1
            await asyncio.sleep(0)

    frozen = gc.get_freeze_count()
    turning = asyncio.create_task(turn())
    monkeypatch.setattr(Table, "after", watched)
    async with Feed(world.seed).running() as url, running_router(tmp_path, catalog_url=url) as router:
        await eventually(partial(is_at, router, 1))
        is_collecting_again, frozen = gc.isenabled(), gc.get_freeze_count() - frozen
    turning.cancel()
    gc.unfreeze()

    assert turns[0] > LEAST_TURNS
    assert not collections
    assert is_collecting_again
    assert frozen > SOURCES
