"""A service may not write its state, or its disk is full: it serves and says so, and writes when there is room."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from faults.disks import only_read, small_disk
from modelbus.chassis.last_known_good import load
from modelbus.simulator import Simulator, running_simulator
from router.feeds import Feed, tell
from router.routers import RunningRouter, running_router
from router.test_usage import listening
from router.world import World, a_world
from running import eventually
from servers import Databases
from sync.catalog_stand_in import a_supplier
from sync.running_sync import neighbours, running_sync
from testing_bus import LocalBus

FULL = "No space left on device"
NAME = "catalog.snapshot"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture
def world(simulator: Simulator) -> World:
    return a_world(simulator)


async def readiness(router: RunningRouter) -> tuple[int, dict[str, str]]:
    answer = await router.http.get("/health/ready")
    return answer.status_code, answer.json().get("impaired", {})


async def ask(router: RunningRouter, count: int) -> list[UUID]:
    answers = [await router.complete() for _ in range(count)]
    assert {each.status_code for each in answers} == {httpx.codes.OK}
    return [UUID(each.headers["x-request-id"]) for each in answers]


async def test_a_router_whose_disk_is_full_serves_says_so_and_loses_nothing(
    world: World, bus: LocalBus, tmp_path: Path
) -> None:
    feed = Feed(world.seed)
    with small_disk(tmp_path / "disk", "256k") as disk:
        world.seed.save(disk.path / NAME)
        async with (
            listening(bus) as listener,
            feed.running() as url,
            running_router(disk.path, catalog_url=url, nats_url=bus.url) as router,
        ):
            await eventually(lambda: is_well(router))
            asked = await ask(router, 2)
            await eventually(lambda: len(listener.requests) == 2)
            disk.fill()
            client = await bus.client()
            await tell(client, feed.change(world.at_beta.model_copy(update={"priority": 5})))

            async def both_are_told() -> bool:
                # What the bus has taken leaves room on the disk, and so may the last page of a file that is there.
                disk.fill()
                asked.extend(await ask(router, 1))
                status, impaired = await readiness(router)
                assert status == httpx.codes.OK
                return FULL in impaired.get("usage", "") and FULL in impaired.get("last_known_good", "")

            await eventually(both_are_told)
            kept = load(disk.path / NAME)
            assert kept is not None
            assert kept.revision < feed.seed.revision
            disk.free()
            await eventually(lambda: is_well(router), within_s=20)
            await client.close()
            told = await listener.heard(len(asked))
            kept = load(disk.path / NAME)

    assert Counter(request.id for request in told) == Counter(asked)
    assert kept is not None
    assert kept.revision == feed.seed.revision


async def test_a_router_starts_and_serves_where_it_may_not_write_and_writes_when_it_may(
    world: World, bus: LocalBus, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    world.seed.save(state / NAME)
    with ExitStack() as locked:
        locked.enter_context(only_read(state))
        async with listening(bus) as listener, running_router(state, nats_url=bus.url) as router:
            asked = await ask(router, 3)

            async def is_told() -> bool:
                status, impaired = await readiness(router)
                assert status == httpx.codes.OK
                return "usage can't be written to disk" in impaired.get("usage", "")

            await eventually(is_told)
            assert listener.requests == []
            assert not (state / "usage").exists()
            locked.close()

            await eventually(lambda: is_well(router), within_s=20)
            told = await listener.heard(3)

    assert Counter(request.id for request in told) == Counter(asked)


async def is_well(router: RunningRouter) -> bool:
    return await readiness(router) == (httpx.codes.OK, {})


async def test_sync_with_a_full_disk_works_on_says_so_and_keeps_what_is_new_when_there_is_room(
    databases: Databases, public_directory: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        kept = disk.path / "catalog.json"
        async with (
            neighbours(databases, public_directory, disk.path) as around,
            running_sync(around) as sync,
        ):
            supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter))
            await sync.catalog.put(supplier)
            await eventually(lambda: is_kept(kept, sync.catalog.revision))
            disk.fill()
            await sync.catalog.put(supplier.model_copy(update={"display_name": "Renamed"}))

            async def is_told() -> bool:
                answer = await sync.http.get("/health/ready")
                assert answer.status_code == httpx.codes.OK
                return FULL in answer.json().get("impaired", {}).get("last_known_good", "")

            await eventually(is_told)
            assert is_kept(kept, 1)
            assert (await sync.listing_of(supplier))["status"] == "fetched"
            disk.free()
            await eventually(lambda: is_kept(kept, sync.catalog.revision), within_s=20)
            ready = await sync.http.get("/health/ready")

    assert "impaired" not in ready.json()


def is_kept(path: Path, revision: int) -> bool:
    snapshot = load(path)
    return snapshot is not None and snapshot.revision == revision
