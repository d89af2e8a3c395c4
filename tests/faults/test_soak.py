"""Faults at random, one after another on one system: after each the ledger is exact, and memory stays flat.

It takes a minute and a half, and as long as one likes by hand: `make faults MINUTES=60`. A run says its seed, and
`SEED=` repeats it.
"""

import os
import time
from random import Random, SystemRandom

import pytest

from faults import causing
from faults.known import FAULTS, HARDEST, Fault
from faults.load import under_load
from faults.memory import FEWEST, MOST_MB, OLD_S, Memory, is_flat, remembering
from faults.rig import SERVICES
from faults.stage import Stage
from faults.trial import trial
from running import eventually

pytestmark = pytest.mark.system

MINUTES = float(os.environ.get("MINUTES") or 1.5)
ALL_JUDGED_MINUTES = 10
"""A run of so long ends with a time without faults, in which every process gets old enough to be judged."""
RESTORES = (causing.configuration_restored, causing.database_restored)
"""They change the truth itself: after them the ledger compares less."""
CHOSEN = tuple(fault for fault in FAULTS if fault.shape == "one node" and fault.cause not in RESTORES)


def chosen(seed: int, count: int) -> list[Fault]:
    """Answer the faults of a seed, in their order: the hardest, and then each before one is met again."""
    chance = Random(seed)
    found = chance.sample(HARDEST, len(HARDEST))
    while len(found) < count:
        found += chance.sample(CHOSEN, len(CHOSEN))
    return found[:count]


@pytest.mark.timeout(60 * MINUTES + 600)
async def test_faults_at_random_lose_nothing_and_memory_stays_flat(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("SEED") or SystemRandom().randrange(10**6))
    rig, ledger = await stage.on("one node")
    until, number = time.monotonic() + 60 * MINUTES, 0
    async with remembering(rig) as memory:
        while time.monotonic() < until:
            fault = chosen(seed, number + 1)[number]
            number += 1
            with capsys.disabled():
                print(f"SEED={seed} {number}: {fault.name}", flush=True)  # noqa: T201 - for who has to repeat it
            await trial(rig, ledger, fault)
        if MINUTES >= ALL_JUDGED_MINUTES:
            async with under_load(rig) as load:
                await eventually(lambda: memory.judged() == set(SERVICES), within_s=2 * OLD_S)
            await ledger.settle(load)
    with capsys.disabled():
        print(f"SEED={seed}: {number} faults; {told(memory)}", flush=True)  # noqa: T201 - the same

    assert memory.growing() == {}, f"SEED={seed}"
    assert memory.unjudged(rig) == set(), f"SEED={seed}"
    assert memory.too_large() == {}, f"SEED={seed}"


def told(memory: Memory) -> str:
    """Say what the process of each service that lived longest held, at first and at last, and each server at most."""
    longest: dict[str, list[float]] = {}
    for (service, _), sizes in memory.sizes.items():
        longest[service] = max(longest.get(service, []), sizes, key=len)
    services = [f"{name} {sizes[0]:.0f} to {sizes[-1]:.0f} MB" for name, sizes in sorted(longest.items()) if sizes]
    return ", ".join([*services, *(f"{name} at most {size:.0f} MB" for name, size in memory.largest.items())])


def test_a_seed_is_always_the_same_faults_and_another_is_others() -> None:
    assert chosen(7, 30) == chosen(7, 40)[:30]
    assert chosen(7, 30) != chosen(8, 30)
    names = [fault.name for fault in chosen(7, len(HARDEST) + len(CHOSEN))]
    assert set(names[: len(HARDEST)]) == {fault.name for fault in HARDEST}
    assert set(names[len(HARDEST) :]) == {fault.name for fault in CHOSEN}


@pytest.mark.parametrize(("before", "after", "flat"), [(100, 100, True), (100, 126, True), (100, 130, False)])
def test_growth_is_told_from_what_comes_and_goes(before: float, after: float, *, flat: bool) -> None:
    assert is_flat(before, after) == flat


def test_a_process_is_judged_once_it_was_looked_at_often_enough() -> None:
    memory = Memory()
    memory.sizes["sync", 1] = [100.0] * FEWEST
    memory.sizes["router", 2] = [100.0] * (FEWEST - 1)

    assert memory.judged() == {"sync"}


def test_a_server_that_held_too_much_or_was_never_looked_at_is_told() -> None:
    memory = Memory()
    memory.largest["nats"] = MOST_MB["nats"] + 1

    assert set(memory.too_large()) == {"nats", "postgres"}
