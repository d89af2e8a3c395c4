"""Limits over several routers on one bus, and with the bus away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import cast

import pytest

from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.contracts.limits import DrawnRecord, LimitsDrawn
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import NotLoadedError, RateLimitedError
from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.meters import ABSENT_AFTER_S, Meter
from modelbus.router.limits.registry import Registry
from modelbus.router.limits.sharing import Sharing
from modelbus.simulator import Fault, Simulator
from permitted_bus import permitted_bus, url_of
from router.routers import running_router
from router.seeding import Seed
from router.test_limits import LIMITED, ask
from router.world import World
from running import eventually
from testing_bus import LocalBus, is_heard


class Loaded:
    """A copy of the catalog that does not change."""

    def __init__(self, seed: Seed | None) -> None:
        self._table = seed.table() if seed else None

    @property
    def table(self) -> Table:
        if self._table is None:
            raise NotLoadedError
        return self._table


@dataclass(frozen=True, slots=True)
class Replica:
    """The limits of one router, for one access key."""

    registry: Registry
    sharing: Sharing
    bus: Bus
    seed: Seed

    def enter(self, tokens: int = 0) -> Allowance:
        [key] = self.seed.table().access_keys.all()
        allowance = self.registry.allowance_of([key])
        assert allowance is not None
        allowance.enter(tokens, 0)
        return allowance

    def left(self) -> tuple[int, int]:
        """Answer how many requests and tokens are left."""
        [key] = self.seed.table().access_keys.all()
        allowance = self.registry.allowance_of([key])
        assert allowance is not None
        requests, tokens = (int(bucket.left(monotonic())) if bucket else 0 for bucket in allowance.tightest())
        return requests, tokens

    async def tell(self) -> None:
        await self.sharing.tell()
        client = await self.bus.connected()
        await is_heard(client)


@asynccontextmanager
async def replicas(seed: Seed, *urls: str, kind: type[Registry] = Registry) -> AsyncIterator[list[Replica]]:
    made = []
    for url in urls:
        bus, registry = Bus(url, service="router"), kind()
        bus.start()
        await bus.connected()
        sharing = Sharing(registry, bus, cast("CatalogCopy", Loaded(seed)), run_id=new_id())
        made.append(Replica(registry, sharing, bus, seed))
        await made[-1].tell()
    yield made
    for each in made:
        await each.bus.stop()


# Six requests a minute: the refill of a test's time is less than one. Of tokens one comes back each second.
def limited(**limits: int) -> Seed:
    seed = Seed()
    seed.key(LIMITED, **limits)
    return seed


async def test_what_is_drawn_at_one_router_is_gone_at_all(bus: LocalBus) -> None:
    async with replicas(limited(rpm_limit=6, tpm_limit=60), bus.url, bus.url, bus.url) as (one, two, three):
        one.enter(tokens=30)
        two.enter(tokens=10)
        await one.tell()
        await two.tell()
        for each in (three, one, two):
            await eventually(lambda each=each: each.left()[0] == 4 and 20 <= each.left()[1] < 40)  # type: ignore[misc]

        with pytest.raises(RateLimitedError):
            three.enter(tokens=55)


async def test_what_is_settled_is_given_back_at_all(bus: LocalBus) -> None:
    async with replicas(limited(tpm_limit=60), bus.url, bus.url) as (one, two):
        entered = one.enter(tokens=50)
        await one.tell()
        await eventually(lambda: 10 <= two.left()[1] < 50)
        entered.settle(5)
        await one.tell()

        await eventually(lambda: two.left()[1] >= 55)


async def test_what_several_let_through_beyond_the_limit_is_owed(bus: LocalBus) -> None:
    async with replicas(limited(rpm_limit=6), bus.url, bus.url) as (one, two):
        for _ in range(6):
            one.enter()
            two.enter()
        await one.tell()
        await two.tell()

        # 12 passed where 6 might: both wait until the other six have filled up again.
        await eventually(lambda: one.left()[0] <= -5 and two.left()[0] <= -5)
        for each in (one, two):
            with pytest.raises(RateLimitedError) as refusal:
                each.enter()
            assert 50 < (refusal.value.retry_after_s or 0) <= 70


async def test_a_place_at_one_router_is_taken_at_all_until_it_is_left(bus: LocalBus) -> None:
    async with replicas(limited(concurrency_limit=1), bus.url, bus.url) as (one, two):
        entered = one.enter()
        await one.tell()

        def is_refused() -> bool:
            try:
                two.enter().settle(0)
            except RateLimitedError:
                return True
            return False

        await eventually(is_refused)
        entered.settle(0)
        await one.tell()
        await eventually(lambda: not is_refused())


def test_a_router_that_went_away_keeps_no_place() -> None:
    [key] = limited(concurrency_limit=5).table().access_keys.all()
    meter = Meter(key, now=0.0)
    meter.hear(new_id(), 3, 0, 3, now=0.0)
    meter.hear(new_id(), 1, 0, 1, now=2.0)

    assert [meter.under_way(now) for now in (2.0, ABSENT_AFTER_S + 1, ABSENT_AFTER_S + 3)] == [4, 1, 0]


async def test_long_requests_are_told_again_before_they_are_forgotten(bus: LocalBus) -> None:
    async with replicas(limited(concurrency_limit=1), bus.url, bus.url) as (one, two):
        one.enter()
        await one.tell()
        one.registry.repeat_inside()

        assert [drawn.inside for drawn in one.registry.take_untold()] == [1]
        assert two.registry.take_untold() == []


def test_a_meter_that_measures_nothing_is_forgotten() -> None:
    seed = limited(rpm_limit=6)
    registry = Registry()
    [key] = seed.table().access_keys.all()
    unused, used = registry.allowance_of([key]), registry.allowance_of([key])
    assert unused is not None
    assert used is not None
    registry.forget_idle()
    assert len(registry) == 0

    used = registry.allowance_of([key])
    assert used is not None
    used.enter(0, 0)
    registry.take_untold()
    registry.forget_idle()
    assert len(registry) == 1


async def test_with_the_bus_away_each_goes_on_by_itself_and_shares_again_afterwards(bus: LocalBus) -> None:
    async with replicas(limited(rpm_limit=6), bus.url, bus.url) as (one, two):
        bus.server.kill()
        await eventually(lambda: not (one.bus.is_connected or two.bus.is_connected))
        one.enter()
        await one.sharing.tell()
        assert (one.left()[0], two.left()[0]) == (5, 6)

        bus.server.restart()
        await eventually(lambda: one.bus.is_connected and two.bus.is_connected)
        one.enter()
        one.enter()
        await one.tell()
        # The two, and not what was drawn while nobody could hear of it.
        await eventually(lambda: two.left()[0] <= 4)
        assert two.left()[0] == 4


async def test_what_is_told_of_unknown_holders_or_can_not_be_read_harms_nobody(bus: LocalBus) -> None:
    async with replicas(limited(rpm_limit=6), bus.url) as [one]:
        client = await bus.client()
        drawn = DrawnRecord(holder_id=new_id(), requests=5, tokens=0, inside=0)
        told = LimitsDrawn(teller_id=new_id(), holders=[drawn])
        [key] = one.seed.records["access_key"].values()
        known = told.model_copy(update={"holders": [drawn.model_copy(update={"holder_id": key.id})]})
        for body in (b"{", b'{"holders":7}', told.model_dump_json().encode(), known.model_dump_json().encode()):
            await client.publish(LimitsDrawn.type, body)

        await eventually(lambda: one.left()[0] == 1)
        await client.close()


async def test_routers_may_tell_one_another_and_nobody_else_what_was_drawn(public_directory: Path) -> None:
    async with permitted_bus(public_directory) as server:
        url = url_of(server, "router")
        async with replicas(limited(rpm_limit=6), url, url) as (one, two):
            one.enter()
            await one.tell()

            await eventually(lambda: two.left()[0] == 5)
            assert [one.bus.refused, two.bus.refused] == [{}, {}]


async def test_two_routers_on_one_bus_have_one_limit(
    world: World, tmp_path: Path, bus: LocalBus, simulator: Simulator
) -> None:
    world.seed.key(LIMITED, concurrency_limit=1)
    simulator.openai.misbehave(Fault(latency_ms=20_000), times=1)
    async with (
        running_router(tmp_path / "one", world.seed, nats_url=bus.url) as one,
        running_router(tmp_path / "two", world.seed, nats_url=bus.url) as two,
    ):
        long = asyncio.create_task(ask(one))
        await eventually(lambda: simulator.openai.exchanges)

        async def is_refused() -> bool:
            return (await ask(two)).status_code == 429

        # What one of them is at is told again each second, so it does not matter when the other began to hear.
        await eventually(is_refused)
        long.cancel()

        async def is_served() -> bool:
            return (await ask(two)).status_code == 200

        await eventually(is_served)
