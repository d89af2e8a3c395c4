"""A router tells of sources that it keeps failing with, and takes care not to blame them for its own line."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from nats.js.errors import NotFoundError

from modelbus.chassis.ids import new_id
from modelbus.contracts.health import SourceHealthChanged
from modelbus.router.balance.observing import Observer
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.domain.breakers import LEAST_FAILURES, Breakers
from modelbus.router.ledger.tally import Tally
from modelbus.simulator import Fault, Simulator
from router.routers import running_router
from router.world import World
from running import eventually
from testing_bus import LocalBus


class Trial:
    """An observer with all that it looks at."""

    def __init__(self, copy: CatalogCopy) -> None:
        self.breakers, self.tally = Breakers(), Tally()
        self.observer = Observer(self.breakers, copy, self.tally, router_id="r1")
        self.told: list[SourceHealthChanged] = []

    async def tell(self) -> list[str]:
        async def note(event: SourceHealthChanged) -> None:
            self.told.append(event)

        before = len(self.told)
        await self.observer.tell(note)
        return [event.health for event in self.told[before:]]


class Copy(CatalogCopy):
    """A copy of the catalog that follows nobody."""

    def __init__(self, world: World) -> None:
        self._table = world.seed.table()


def a_trial(world: World) -> Trial:
    trial = Trial(Copy(world))
    for _ in range(LEAST_FAILURES):
        trial.breakers.failed(world.at_acme.id, monotonic(), "answered 500")
    return trial


async def test_a_source_is_down_only_when_something_else_was_served_since(world: World) -> None:
    trial = a_trial(world)

    first = await trial.tell()
    trial.tally.attempts[world.beta.id, "ok"] += 1
    second, third = await trial.tell(), await trial.tell()

    assert (first, second, third) == (["degraded"], ["down"], [])
    down = trial.told[1]
    assert (down.observer, down.supplier_id, down.source_id) == ("r1", world.acme.id, world.at_acme.id)
    assert (down.reason, down.since <= down.observed_at <= datetime.now(UTC)) == ("answered 500", True)


async def test_a_source_that_serves_again_is_left_to_what_others_say(world: World) -> None:
    trial = a_trial(world)
    await trial.tell()

    trial.breakers.succeeded(world.at_acme.id, monotonic())

    assert (await trial.tell(), await trial.tell()) == (["unknown"], [])


async def test_a_source_that_the_catalog_has_no_more_is_nothing_to_tell_of(world: World) -> None:
    trial = a_trial(world)
    for _ in range(LEAST_FAILURES):
        trial.breakers.failed(new_id(), monotonic(), "answered 500")

    assert await trial.tell() == ["degraded"]


async def test_it_is_told_on_the_bus(world: World, simulator: Simulator, bus: LocalBus, tmp_path: Path) -> None:
    simulator.openai.misbehave(Fault(status=500), path="chat")
    client = await bus.client()
    async with running_router(tmp_path, world.seed, nats_url=bus.url) as router:
        answers = [await router.complete() for _ in range(LEAST_FAILURES)]

        async def heard() -> SourceHealthChanged:
            message = await client.jetstream().get_last_msg("HEALTH", SourceHealthChanged.type)
            return SourceHealthChanged.model_validate_json(message.data or b"")

        event = await eventually(lambda: _or_none(heard))
    await client.close()

    assert {answer.status_code for answer in answers} == {200}
    assert (event.source_id, event.health) == (world.at_acme.id, "degraded")


async def _or_none(heard: Callable[[], Awaitable[SourceHealthChanged]]) -> SourceHealthChanged | None:
    try:
        return await heard()
    except NotFoundError:
        return None
