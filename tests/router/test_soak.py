"""Mixed traffic, faults, changes of the catalog and callers that leave: nothing leaks, and the ledger is exact.

It takes two minutes, and as long as one likes by hand (`make soak MINUTES=30`); there the callers never rest.
"""

import asyncio
import gc
import os
import tracemalloc
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from operator import le
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import httpx
import psutil
import pytest

from modelbus.router.upstream import pool
from modelbus.simulator import Fault, Provider, Rule, Simulator
from router.feeds import Feed, tell
from router.routers import RunningRouter, running_router
from router.soaking import SLOW, WAYS, Callers, Calls, Catalog, a_catalog, hearing
from running import eventually
from testing_bus import LocalBus

BY_HAND = float(os.environ.get("MINUTES") or 0)
SECONDS = 60 * (BY_HAND or 2)
REST_S = 0.0 if BY_HAND else 1.1
BETWEEN_FAULTS_S = 0.1 + REST_S
BETWEEN_CHANGES_S = 0.05 + REST_S / 4
CALLERS = 12
MOST_MB, MOST_PAGES_A_CALL = 10, 512
"""Of resident memory, over half the time: so much in any case, or so many bytes for each call of a long run."""
MOST_TRACED_A_CALL = 1024
FAULTS = (
    Fault(status=500),
    Fault(status=503),
    Fault(status=429, headers={"Retry-After": "0"}),
    Fault(html=True),
    Fault(cut_after_tokens=3, tokens_per_second=2000),
    Fault(malformed_chunk_at=3, tokens_per_second=2000),
    Fault(stall_after_tokens=2, tokens_per_second=2000),
    Fault(accept_and_hang=True),
    Fault(first_token_ms=60_000),
)
ALWAYS = Rule(fault=Fault(first_token_ms=200), model=SLOW)
LIMITS: dict[str, Any] = {"first_byte_s": 0.3, "first_token_s": 0.3, "stall_s": 0.2, "total_s": 3.0, "shadow_s": 3.0}


class Memory(NamedTuple):
    """What this process holds after so many calls: pages, and what Python allocated since it was begun to be traced."""

    calls: int
    pages: int
    traced: int


class Held(NamedTuple):
    """What must be as before when all is over."""

    tasks: int
    connections: int
    to_suppliers: int


def providers_of(simulator: Simulator) -> tuple[Provider, ...]:
    return simulator.openai, simulator.openrouter, simulator.anthropic


def counts_of(simulator: Simulator) -> dict[str, int]:
    return {each.name: each.counts.total() for each in providers_of(simulator)}


async def misbehave(simulator: Simulator, until: float) -> None:
    """Flap: one supplier or another has a fault for a moment, and is well for a moment."""
    chance = Random(1)
    while asyncio.get_running_loop().time() < until:
        provider = chance.choice(providers_of(simulator))
        provider.behave(ALWAYS, Rule(fault=chance.choice(FAULTS), times=2))
        await asyncio.sleep(BETWEEN_FAULTS_S)


async def change(catalog: Catalog, feed: Feed, bus: LocalBus, until: float) -> None:
    """Change sources, so that the table is replaced many times a second."""
    client, number = await bus.client(), 0
    while asyncio.get_running_loop().time() < until:
        number += 1
        is_available = number % 5 > 0
        changed = {"priority": 2 + number % 7, "is_available": is_available, "reason": None if is_available else "gone"}
        await tell(client, feed.change(catalog.changed.model_copy(update=changed)))
        await asyncio.sleep(BETWEEN_CHANGES_S)
    await client.close()


def held(simulator: Simulator) -> Held:
    port = int(simulator.url.rpartition(":")[2])
    # Those that listen have no address at the other end.
    connected = [each for each in psutil.Process().net_connections("tcp") if each.status == psutil.CONN_ESTABLISHED]
    return Held(
        tasks=len(asyncio.all_tasks()),
        connections=len(connected),
        to_suppliers=len([each for each in connected if each.raddr.port == port]),
    )


def has_no_more_than(before: Held, now: Held) -> bool:
    # Timed work of router and feed is a task or two now and then.
    most = before._replace(tasks=before.tasks + 2)
    assert all(map(le, now, most)), f"{before} became {now}: {sorted(map(str, asyncio.all_tasks()))}"
    return True


def memory(callers: Callers, simulator: Simulator) -> Memory:
    for provider in providers_of(simulator):
        provider.exchanges.clear()
    gc.collect()
    return Memory(callers.count, psutil.Process().memory_info().rss, tracemalloc.get_traced_memory()[0])


@pytest.fixture
def traced() -> Iterator[None]:
    """Trace what Python allocates, but by hand: there a leak is more than the pages that tracing takes itself."""
    if not BY_HAND:
        tracemalloc.start()
    yield
    tracemalloc.stop()


async def soaked(callers: Callers, *others: Coroutine[None, None, None], simulator: Simulator) -> tuple[Memory, Memory]:
    """Run everything, and answer the memory in the middle and at the end."""

    async def look() -> Memory:
        await asyncio.sleep(SECONDS / 2)
        return memory(callers, simulator)

    async with asyncio.TaskGroup() as traffic:
        middle = traffic.create_task(look())
        for number in range(CALLERS):
            traffic.create_task(callers.call(number))
        for other in others:
            traffic.create_task(other)
    return middle.result(), memory(callers, simulator)


@pytest.mark.usefixtures("traced")
@pytest.mark.timeout(SECONDS + 120)
async def test_nothing_leaks_and_the_ledger_is_exact(
    tmp_path: Path, bus: LocalBus, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.4)
    catalog, calls = a_catalog(simulator), Calls()
    feed = Feed(catalog.seed, most_kept=1000)
    async with (
        hearing(bus, calls),
        feed.running() as url,
        running_router(tmp_path, catalog_url=url, nats_url=bus.url, **LIMITS) as router,
    ):
        await eventually(lambda: _serves(router))
        await eventually(lambda: not held(simulator).to_suppliers)
        before = held(simulator)
        asked_before = counts_of(simulator)
        until = asyncio.get_running_loop().time() + SECONDS
        callers = Callers(router.url, calls, until=until, rest_s=REST_S)
        others = misbehave(simulator, until), change(catalog, feed, bus, until)
        middle, end = await soaked(callers, *others, simulator=simulator)
        await eventually(lambda: has_no_more_than(before, held(simulator)))
        await eventually(lambda: not calls.asked)

    assert_everything_was_asked(callers, calls)
    assert (calls.asked, calls.told, calls.wrong) == ({}, {}, [])
    assert len(set(calls.copies.values())) == len(calls.copies)
    assert set(calls.copies.values()) <= calls.split
    for supplier_id, name in catalog.suppliers.items():
        asked = counts_of(simulator)[name] - asked_before[name]
        # What ran out of time before an answer may have done so before the supplier looked at it.
        assert calls.answered[supplier_id] <= asked <= calls.attempts[supplier_id], name
    calls_since = end.calls - middle.calls
    assert end.pages - middle.pages < max(MOST_MB * 2**20, MOST_PAGES_A_CALL * calls_since)
    assert end.traced - middle.traced < MOST_TRACED_A_CALL * calls_since


def assert_everything_was_asked(callers: Callers, calls: Calls) -> None:
    """A soak that is too kind proves nothing."""
    assert callers.count > 5 * SECONDS
    assert callers.ways.keys() == WAYS.keys()
    assert callers.left.keys() == {"before an answer", "before a stream", "within"}
    assert callers.refused.keys() == {401, 429}
    assert calls.outcomes.keys() >= {"ok", "failed", "cut", "cancelled"}
    assert calls.outcomes["ok"] > callers.count / 3
    assert calls.copies


async def _serves(router: RunningRouter) -> bool:
    with suppress(httpx.HTTPError):
        return (await router.complete()).status_code == httpx.codes.OK
    return False
