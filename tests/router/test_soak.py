"""Mixed traffic, faults, changes of the catalog and callers that leave: nothing leaks, and the ledger is exact.

It takes two minutes, and as long as one likes by hand (`make soak MINUTES=30`); there the callers never rest.
"""

import asyncio
import gc
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import httpx
import psutil
import pytest

from modelbus.contracts.usage import RequestRecord
from modelbus.router.upstream import pool
from modelbus.simulator import Fault, Rule, Simulator
from router.feeds import Feed, tell
from router.routers import PROMPT, RunningRouter, running_router
from router.test_usage import Listener, listening
from router.world import World
from running import eventually
from testing_bus import LocalBus

BY_HAND = float(os.environ.get("MINUTES") or 0)
SECONDS = 60 * (BY_HAND or 2)
REST_S = 0.0 if BY_HAND else 0.5
CALLERS = 12
MEMORY_MB = 40
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
LIMITS: dict[str, Any] = {"first_byte_s": 0.3, "first_token_s": 0.3, "stall_s": 0.2, "total_s": 3}


class Soak:
    """The traffic and its sums."""

    def __init__(self, router: RunningRouter, until: float) -> None:
        self._router = router
        self._until = until
        self.told: Counter[str] = Counter()
        self.ids: list[UUID] = []

    async def call(self, seed: int) -> None:
        """Ask again and again, in one of four ways each time."""
        chance = Random(seed)
        while asyncio.get_running_loop().time() < self._until:
            is_stream, leaves = chance.random() < 0.5, chance.random() < 0.3
            asked = PROMPT | {"stream": is_stream}
            async with self._router.http.stream("POST", "/v1/chat/completions", json=asked) as answer:
                self.ids.append(UUID(answer.headers["x-request-id"]))
                self.told[str(answer.status_code)] += 1
                async for _ in answer.aiter_bytes():
                    if is_stream and leaves:
                        self.told["left"] += 1
                        break
            await asyncio.sleep(REST_S)

    async def misbehave(self, simulator: Simulator) -> None:
        """Flap: one supplier and then the other has a fault for a moment, and is well for a moment."""
        chance = Random(1)
        while asyncio.get_running_loop().time() < self._until:
            provider = chance.choice((simulator.openai, simulator.openrouter))
            provider.behave(Rule(fault=chance.choice(FAULTS), times=5))
            await asyncio.sleep(0.05 + REST_S)

    async def change(self, world: World, feed: Feed, bus: LocalBus) -> None:
        """Change sources, so that the table is replaced many times a second."""
        client, number = await bus.client(), 0
        while asyncio.get_running_loop().time() < self._until:
            number += 1
            await tell(client, feed.change(world.at_beta.model_copy(update={"priority": 2 + number % 7})))
            await asyncio.sleep(0.01 + REST_S / 4)
        await client.close()


def memory_mb() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def held(simulator: Simulator) -> tuple[int, int]:
    """Answer the tasks of this process, and its connections to the simulator."""
    port = int(simulator.url.rpartition(":")[2])
    # One that listens has no address at the other end.
    to_it = [each for each in psutil.Process().net_connections("tcp") if getattr(each.raddr, "port", None) == port]
    return len(asyncio.all_tasks()), len([each for each in to_it if each.status == psutil.CONN_ESTABLISHED])


async def soaked(soak: Soak, world: World, feed: Feed, bus: LocalBus, simulator: Simulator) -> list[float]:
    """Run everything, and answer the memory in the middle and at the end."""
    samples = []

    async def sample() -> None:
        await asyncio.sleep(SECONDS / 2)
        samples.append(memory_mb())

    async with asyncio.TaskGroup() as traffic:
        for number in range(CALLERS):
            traffic.create_task(soak.call(number))
        traffic.create_task(soak.misbehave(simulator))
        traffic.create_task(soak.change(world, feed, bus))
        traffic.create_task(sample())
    return [*samples, memory_mb()]


@pytest.mark.timeout(SECONDS + 120)
async def test_nothing_leaks_and_the_ledger_is_exact(
    world: World, tmp_path: Path, bus: LocalBus, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "IDLE_S", 0.4)
    feed = Feed(world.seed)
    async with (
        listening(bus) as listener,
        feed.running() as url,
        running_router(tmp_path, catalog_url=url, nats_url=bus.url, **LIMITS) as router,
    ):
        await eventually(lambda: _serves(router))
        tasks, _ = held(simulator)
        await eventually(lambda: len(listener.requests) > 0)
        before = {request.id for request in listener.requests}
        asked_before = Counter({each.name: each.counts["chat"] for each in (simulator.openai, simulator.openrouter)})
        soak = Soak(router, asyncio.get_running_loop().time() + SECONDS)
        middle, end = await soaked(soak, world, feed, bus, simulator)
        for provider in (simulator.openai, simulator.openrouter):
            provider.behave()
        await eventually(lambda: held(simulator)[1] == 0)
        await eventually(lambda: held(simulator)[0] <= tasks + 2)
        told = await _all_told(listener, before, len(soak.ids))

    assert len(soak.ids) > 5 * SECONDS
    assert soak.told["200"] > len(soak.ids) / 2
    assert soak.told["left"] > 0
    assert end - middle < MEMORY_MB
    assert Counter(request.id for request in told) == Counter(soak.ids)
    for provider, supplier in ((simulator.openai, world.acme), (simulator.openrouter, world.beta)):
        attempts = [each for request in told for each in request.attempts if each.supplier_id == supplier.id]
        asked = provider.counts["chat"] - asked_before[provider.name]
        # What ran out of time before an answer may have done so before the supplier looked at it.
        assert len([each for each in attempts if each.status is not None]) <= asked <= len(attempts)


async def _serves(router: RunningRouter) -> bool:
    with suppress(httpx.HTTPError):
        return (await router.complete()).status_code == httpx.codes.OK
    return False


async def _all_told(listener: Listener, before: set[UUID], count: int) -> list[RequestRecord]:
    await eventually(lambda: len({each.id for each in listener.requests} - before) >= count)
    return [request for request in listener.requests if request.id not in before]
