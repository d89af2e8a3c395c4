from functools import partial
from pathlib import Path
from time import perf_counter

from modelbus.chassis import last_known_good
from router.feeds import Feed, tell
from router.routers import RunningRouter, running_router
from router.seeding import EPOCH, an_arm
from router.world import World
from running import eventually
from testing_bus import LocalBus


async def test_with_everything_else_down_the_last_known_good_is_served_as_stale(world: World, tmp_path: Path) -> None:
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete()
        ready = await router.http.get("/health/ready")
        cache = await router.cache()

    assert answer.status_code == 200
    assert ready.status_code == 200
    assert (cache["is_stale"], cache["is_loaded"], cache["age_s"]) == (True, True, None)
    assert (cache["epoch"], cache["revision"], cache["alarms"]) == (str(EPOCH), 1, 0)
    assert cache["digests"] == world.seed.snapshot().digests
    held = {kind: count for kind, count in cache["counts"].items() if count}
    assert held == {"supplier": 2, "credential": 2, "model": 1, "source": 2, "access_key": 1}
    assert cache["counts"].keys() == world.seed.records.keys()


async def test_a_router_without_a_file_loads_from_the_feed_and_keeps_what_it_saw(world: World, tmp_path: Path) -> None:
    async with Feed(world.seed).running() as url, running_router(tmp_path, catalog_url=url) as router:
        await eventually(lambda: _has_loaded(router))
        first = await router.complete()
    async with running_router(tmp_path) as router:
        again = await router.complete()

    assert (first.status_code, again.status_code) == (200, 200)


async def test_a_file_of_a_version_that_knew_fewer_kinds_is_served_and_the_others_are_asked_for(
    world: World, tmp_path: Path
) -> None:
    older = world.seed.snapshot()
    del older.records["split"]
    arm = an_arm("all", world.at_acme)
    world.seed.split("mine", arm)
    last_known_good.save(tmp_path / "catalog.snapshot", older)

    async with running_router(tmp_path) as router:
        alone = [(await router.complete()).status_code, (await router.complete(model="mine")).status_code]
    async with Feed(world.seed).running() as url, running_router(tmp_path, catalog_url=url) as router:
        await eventually(lambda: _has_loaded(router))
        followed = await router.complete(model="mine")

    assert alone == [200, 404]
    assert followed.status_code == 200


async def test_a_change_that_the_bus_tells_is_in_force_at_once(world: World, tmp_path: Path, bus: LocalBus) -> None:
    feed = Feed(world.seed)
    async with feed.running() as url, running_router(tmp_path, catalog_url=url, nats_url=bus.url) as router:
        await eventually(lambda: _has_loaded(router))
        client = await bus.client()
        warm = feed.change(world.at_acme.model_copy(update={"priority": 1}))
        await tell(client, warm)
        await eventually(lambda: _is_at(warm.revision, router))

        change = feed.change(world.at_acme.model_copy(update={"is_available": False, "reason": "disabled"}))
        begun = perf_counter()
        await tell(client, change)
        await eventually(lambda: _is_at(change.revision, router))
        took_s = perf_counter() - begun
        answer = await router.complete()
        await client.close()

    assert answer.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert answer.headers["x-modelbus-revision"] == str(change.revision)
    # Polling would take seconds; the exact figure is the benchmark's.
    assert took_s < 2


async def test_a_new_key_works_and_a_disabled_one_ceases_to(world: World, tmp_path: Path, bus: LocalBus) -> None:
    feed = Feed(world.seed)
    key = world.seed.key("mb-coming", is_active=False)
    headers = {"Authorization": "Bearer mb-coming"}
    async with feed.running() as url, running_router(tmp_path, catalog_url=url, nats_url=bus.url) as router:
        await eventually(lambda: _has_loaded(router))
        client = await bus.client()
        statuses = []
        for is_active in (True, False):
            change = feed.change(key.model_copy(update={"is_active": is_active}))
            await tell(client, change)
            await eventually(partial(_is_at, change.revision, router))
            statuses.append((await router.http.get("/v1/models", headers=headers)).status_code)
        await client.close()

    assert statuses == [200, 401]


async def _has_loaded(router: RunningRouter) -> bool:
    cache = await router.cache()
    return bool(cache["is_loaded"] and not cache["is_stale"])


async def _is_at(revision: int | None, router: RunningRouter) -> bool:
    return bool((await router.cache())["revision"] == revision)
