"""In whatever order servers and services come up, each waits for what it lacks and says so, and all get ready.

The orders here are few, but any three parts are met in each of their six orders, and each part is the first and the
last once. All 720 are run by hand: `make faults ORDER=all`.
"""

import os
from itertools import permutations
from pathlib import Path
from uuid import uuid4

import pytest

from running import eventually
from system.forked import SERVICES
from system.lineup import PARTS, SERVERS, Installation, Lineup, lined_up

pytestmark = pytest.mark.system

FEW = (
    "postgres integrity sync router catalog nats",
    "catalog router integrity sync postgres nats",
    "sync postgres nats router catalog integrity",
    "router postgres nats sync integrity catalog",
    "integrity nats postgres catalog router sync",
    "nats catalog postgres integrity sync router",
    "router catalog nats sync integrity postgres",
    "sync integrity catalog nats router postgres",
)
ORDERS = [each.split() for each in FEW]
WANTED = [list(each) for each in permutations(PARTS)] if os.environ.get("ORDER") == "all" else ORDERS


def must_miss(service: str, up: set[str]) -> set[str]:
    """Answer what the service can't have while only these are up."""
    lacks_catalog = not {"catalog", "postgres"} <= up
    missing = set()
    if service != "router":
        missing |= {"database"} - ({"database"} if "postgres" in up else set())
        missing |= {"bus"} - ({"bus"} if "nats" in up else set())
    # Integrity keeps what it has learnt in its database; the others begin anew at each start.
    return missing | ({"catalog"} if lacks_catalog and service in {"router", "sync"} else set())


async def tell_all(lineup: Lineup) -> None:
    """Change something, and wait until all who follow the catalog have heard of it."""
    await lineup.ask("POST", "catalog", "/api/v1/models", json={"name": f"order/{uuid4().hex}"})
    await lineup.caught_up("router")

    async def all_heard() -> bool:
        return await lineup.unheard() == 0

    await eventually(all_heard, within_s=20)


@pytest.mark.parametrize("order", WANTED, ids=" ".join)
async def test_whatever_comes_up_last_all_wait_for_it_and_get_ready(
    installation: Installation, tmp_path: Path, order: list[str]
) -> None:
    up: set[str] = set()
    async with lined_up(installation, tmp_path) as lineup:
        for part in order:
            await lineup.start(part)
            up.add(part)
            for service in up - set(SERVERS):
                assert must_miss(service, up) <= (await lineup.missing(service)).keys()

        await lineup.ready(*SERVICES)
        await tell_all(lineup)
        living = [name for name, process in lineup.processes.items() if process.is_alive()]

    assert sorted(living) == sorted(SERVICES)
    assert {name: process.exitcode for name, process in lineup.processes.items()} == dict.fromkeys(SERVICES, 0)


def test_any_three_parts_are_met_in_every_order_and_each_is_first_and_last_once() -> None:
    met = {
        three
        for order in ORDERS
        for three in permutations(PARTS, 3)
        if order.index(three[0]) < order.index(three[1]) < order.index(three[2])
    }

    assert len(met) == 6 * 5 * 4
    assert {order[0] for order in ORDERS} == {order[-1] for order in ORDERS} == set(PARTS)
