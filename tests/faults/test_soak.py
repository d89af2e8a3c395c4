"""Faults at random, one after another on one system: after each the ledger is exact, and memory stays flat.

With all tests it takes as long as `WITH_ALL_TESTS_MINUTES` says, and as long as one likes by hand: `make faults
MINUTES=60`. A run says its seed, in every failure too, and `SEED=` repeats it.
"""

import asyncio
import os
import time
from collections.abc import Callable
from random import Random, SystemRandom
from typing import Any

import pytest

from faults import causing
from faults.causing import for_a_while
from faults.known import FAULTS, HARDEST, Fault
from faults.ledger import Ledger
from faults.load import under_load
from faults.memory import FEWEST, LOOK_EVERY_S, MOST_MB, Look, Memory, is_flat, remembering
from faults.rig import SERVICES, Rig
from faults.stage import Stage
from faults.trial import trial

pytestmark = pytest.mark.system

WITH_ALL_TESTS_MINUTES = 3.0
WITH_ALL_TESTS_SLOWER = 10.0
"""Others need the processor then, of which all services together take 60 ms for a change: each fault meets several."""
MINUTES = float(os.environ.get("MINUTES") or WITH_ALL_TESTS_MINUTES)
QUIET_FROM_MINUTES = 10.0
"""A run of so long ends with a quiet quarter: under load nothing goes wrong, and all processes get old."""
MOST_QUIET_MINUTES = 15.0
CHOSEN = tuple(
    fault
    for fault in FAULTS
    if fault.shape == "one node" and not fault.is_long and fault.cause is not causing.database_restored
)
"""After a restore of the database the ledger compares less."""

type Tell = Callable[[str], None]


def chosen(seed: int, count: int) -> list[Fault]:
    """Answer the faults of a seed, in their order: the hardest, and then each before one is met again."""
    chance = Random(seed)
    found = chance.sample(HARDEST, len(HARDEST))
    while len(found) < count:
        found += chance.sample(CHOSEN, len(CHOSEN))
    return found[:count]


def goes_on(number: int, until: float) -> bool:
    """Tell whether another fault is caused: the hardest all are, however long they take."""
    return number < len(HARDEST) or time.monotonic() < until


def quiet_minutes(minutes: float) -> float:
    """Answer how much of a run is quiet."""
    return min(minutes / 4, MOST_QUIET_MINUTES) if minutes >= QUIET_FROM_MINUTES else 0.0


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]) -> Tell:
    """Say at once, and with what becomes of the test, where a run is: who has to repeat it needs that."""

    def tell(what: str) -> None:
        record_property("faults at random", what)
        with capsys.disabled():
            print(what, flush=True)  # noqa: T201 - a worker's goes nowhere, hence the property

    return tell


@pytest.mark.timeout(60 * MINUTES + 600)
async def test_faults_at_random_lose_nothing_and_memory_stays_flat(stage: Stage, tell: Tell) -> None:
    seed = int(os.environ.get("SEED") or SystemRandom().randrange(10**6))
    rig, ledger = await stage.on("one node")
    slower = 1.0 if os.environ.get("MINUTES") else WITH_ALL_TESTS_SLOWER
    quiet_s = 60 * quiet_minutes(MINUTES)
    until, number = time.monotonic() + 60 * MINUTES - quiet_s, 0
    async with remembering(rig) as memory:
        while goes_on(number, until):
            fault = chosen(seed, number + 1)[number]
            number += 1
            tell(f"SEED={seed} {number}: {fault.name}")
            await trial(rig, ledger, fault, slower=slower)
        if quiet_s:
            tell(f"SEED={seed} {number} faults; now {quiet_s / 60:.1f} quiet minutes")
            assert await creeping(rig, ledger, memory, quiet_s) == {}
    tell(f"SEED={seed} {number} faults; {told(memory)}")

    assert memory.growing() == {}
    assert memory.unjudged(rig) == set()
    assert memory.too_large() == {}


async def creeping(rig: Rig, ledger: Ledger, memory: Memory, quiet_s: float) -> dict[str, str]:
    """Keep the load on and let nothing go wrong, and answer which services held more and more meanwhile."""
    async with under_load(rig) as load:
        began = time.monotonic()
        await for_a_while(quiet_s)
        found = memory.creeping(began)
    await ledger.settle(load)
    return found


def told(memory: Memory) -> str:
    """Say what the process of each service that lived longest held, at first and at last, and each server at most."""
    longest: dict[str, list[float]] = {}
    for (service, _), looks in memory.looks.items():
        longest[service] = max(longest.get(service, []), [look.mb for look in looks], key=len)
    services = [f"{name} {sizes[0]:.0f} to {sizes[-1]:.0f} MB" for name, sizes in sorted(longest.items()) if sizes]
    return ", ".join([*services, *(f"{name} at most {size:.0f} MB" for name, size in memory.largest.items())])


def test_a_seed_is_always_the_same_faults_and_another_is_others() -> None:
    assert chosen(7, 30) == chosen(7, 40)[:30]
    assert chosen(7, 30) != chosen(8, 30)
    names = [fault.name for fault in chosen(7, len(HARDEST) + len(CHOSEN))]
    assert set(names[: len(HARDEST)]) == {fault.name for fault in HARDEST}
    assert set(names[len(HARDEST) :]) == {fault.name for fault in CHOSEN}


def test_a_run_that_takes_too_long_has_caused_the_hardest_all_the_same() -> None:
    assert goes_on(len(HARDEST) - 1, until=0)
    assert not goes_on(len(HARDEST), until=0)
    assert goes_on(len(HARDEST), until=time.monotonic() + 60)


@pytest.mark.parametrize(("before", "after", "flat"), [(100, 100, True), (100, 126, True), (100, 130, False)])
def test_growth_is_told_from_what_comes_and_goes(before: float, after: float, *, flat: bool) -> None:
    assert is_flat(before, after) == flat


def looks(minutes: float, mb: Callable[[float], float]) -> list[Look]:
    """Answer how a process is seen that lives so long, and holds what is asked for at each minute."""
    times = [number * LOOK_EVERY_S for number in range(round(60 * minutes / LOOK_EVERY_S))]
    return [Look(at, mb(at / 60)) for at in times]


def test_a_process_is_judged_once_it_was_looked_at_often_enough() -> None:
    memory = Memory()
    memory.looks["sync", 1] = [Look(0.0, 100.0)] * FEWEST
    memory.looks["router", 2] = [Look(0.0, 100.0)] * (FEWEST - 1)

    assert memory.judged() == {"sync"}


def test_of_several_processes_of_a_service_each_is_judged() -> None:
    memory = Memory()
    memory.looks["sync", 1] = looks(2, lambda minute: 100 + 60 * minute)
    memory.looks["sync", 2] = looks(2, lambda _: 100)

    assert set(memory.growing()) == {"sync"}


@pytest.mark.parametrize(
    ("mb", "creeps"),
    [
        (lambda minute: 100 + minute, True),
        # The teeth of an allocator, twenty times as high as what is lost a minute; then the same with a leak below.
        (lambda minute: 100 + 20 * (minute % 2), False),
        (lambda minute: 100 + 20 * (minute % 2) + minute, True),
        # The last of getting warm.
        (lambda minute: 100 + min(minute, 1) * 4, False),
    ],
)
def test_a_megabyte_a_minute_is_found_in_quiet_minutes_and_what_comes_and_goes_is_not(
    mb: Callable[[float], float], *, creeps: bool
) -> None:
    memory = Memory()
    for number, service in enumerate(SERVICES):
        memory.looks[service, number] = looks(10, lambda _: 100)
    memory.looks["integrity", 9] = looks(10, mb)

    assert set(memory.creeping(0)) == ({"integrity"} if creeps else set())


def test_a_service_that_was_not_looked_at_in_quiet_minutes_is_told() -> None:
    memory = Memory()
    for number, service in enumerate(SERVICES):
        memory.looks[service, number] = looks(10, lambda _: 100)

    assert memory.creeping(60 * 10 - FEWEST * LOOK_EVERY_S) == {}
    assert set(memory.creeping(60 * 10 - (FEWEST - 1) * LOOK_EVERY_S)) == set(SERVICES)


async def test_a_watch_over_memory_that_ended_by_a_fault_of_its_own_is_told() -> None:
    class Lost:
        asked = asyncio.Event()

        @property
        def endpoints(self) -> dict[str, Any]:
            self.asked.set()
            return {}

    rig: Any = Lost()
    with pytest.raises(KeyError):
        async with remembering(rig):
            await rig.asked.wait()


@pytest.mark.parametrize(("minutes", "quiet"), [(1.5, 0), (9.9, 0), (10, 2.5), (60, 15), (600, 15)])
def test_a_run_of_ten_minutes_and_more_ends_with_a_quiet_quarter(minutes: float, quiet: float) -> None:
    assert quiet_minutes(minutes) == quiet


def test_a_server_that_held_too_much_or_was_never_looked_at_is_told() -> None:
    memory = Memory()
    memory.largest["nats"] = MOST_MB["nats"] + 1

    assert set(memory.too_large()) == {"nats", "postgres"}
