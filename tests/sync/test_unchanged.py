"""A listing that the catalog has applied already is not handed on, and where the supplier can tell not even read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import ListingFetched
from modelbus.simulator import Fault
from modelbus.sync.domain.conditions import is_settled
from modelbus.sync.domain.runs import Run
from sync.catalog_stand_in import a_credential, a_supplier
from sync.running_sync import RunningSync

MODELS = [{"id": name, "pricing": {"prompt": "0.000001"}} for name in ("a", "b", "c")]
SCHEDULE = "schedule"
TAGGED = Fault(headers={"ETag": '"one"', "Last-Modified": "Wed, 23 Apr 2025 07:28:00 GMT"})


async def an_applied_listing(sync: RunningSync, **counts: int) -> tuple[SupplierRecord, dict[str, Any]]:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), namespace=f"n-{uuid4()}")
    await sync.catalog.put(supplier)
    sync.simulator.openrouter.serve_models(MODELS)
    return supplier, await sync.applied(await sync.listing_of(supplier), **counts)


async def are_told(sync: RunningSync, run: dict[str, Any]) -> bool:
    return run["id"] in {str(each.run_id) for each in await sync.told(ListingFetched)}


def conditions_of(sync: RunningSync) -> list[str | None]:
    lowered = [
        {name.lower(): value for name, value in each.headers.items()} for each in sync.simulator.openrouter.exchanges
    ]
    return [headers.get("if-none-match") for headers in lowered]


async def test_an_unchanged_listing_costs_one_request_and_is_not_handed_on(sync: RunningSync) -> None:
    supplier, base = await an_applied_listing(sync)

    run = await sync.listing_of(supplier, SCHEDULE)

    assert (run["status"], run["base_run_id"], run["attempts"]) == ("unchanged", base["id"], 1)
    assert (run["digest"], run["listed_count"], run["reason"]) == (base["digest"], 3, None)
    assert run["ended_at"] is not None
    assert not await are_told(sync, run)
    assert (await sync.listing_of(supplier, SCHEDULE))["base_run_id"] == base["id"]


async def test_the_same_models_in_other_bytes_are_read_and_not_handed_on(sync: RunningSync) -> None:
    supplier, base = await an_applied_listing(sync)
    sync.simulator.openrouter.serve_models([{**each, "listed_at": 7} for each in reversed(MODELS)])

    run = await sync.listing_of(supplier, SCHEDULE)

    assert (run["status"], run["base_run_id"]) == ("unchanged", base["id"])
    assert not await are_told(sync, run)


async def test_a_supplier_that_tells_listings_apart_is_asked_only_for_another_one(sync: RunningSync) -> None:
    sync.simulator.openrouter.misbehave(TAGGED)
    supplier, base = await an_applied_listing(sync)
    sync.simulator.openrouter.misbehave(Fault(status=304))

    runs = [await sync.listing_of(supplier, SCHEDULE) for _ in range(2)]

    assert [(run["status"], run["base_run_id"], run["bytes_read"]) for run in runs] == [
        ("unchanged", base["id"], 0)
    ] * 2
    assert conditions_of(sync) == [None, '"one"', '"one"']
    lowered = {name.lower(): value for name, value in sync.simulator.openrouter.exchanges[-1].headers.items()}
    assert lowered["if-modified-since"] == "Wed, 23 Apr 2025 07:28:00 GMT"


async def test_the_mark_that_a_supplier_gave_last_is_the_one_that_it_is_asked_by(sync: RunningSync) -> None:
    sync.simulator.openrouter.misbehave(TAGGED)
    supplier, _ = await an_applied_listing(sync)
    sync.simulator.openrouter.misbehave(Fault(headers={"ETag": '"two"'}))

    runs = [await sync.listing_of(supplier, SCHEDULE) for _ in range(2)]

    assert [run["status"] for run in runs] == ["unchanged"] * 2
    assert conditions_of(sync) == [None, '"one"', '"two"']


async def test_another_listing_is_handed_on(sync: RunningSync) -> None:
    sync.simulator.openrouter.misbehave(TAGGED)
    supplier, _ = await an_applied_listing(sync)
    sync.simulator.openrouter.serve_models([*MODELS, {"id": "d"}])

    run = await sync.listing_of(supplier, SCHEDULE)

    assert (run["status"], run["listed_count"]) == ("fetched", 4)
    assert await are_told(sync, run)
    # While the catalog has not answered to that, nobody knows what it has.
    assert (await sync.listing_of(supplier, SCHEDULE))["status"] == "fetched"


async def change_supplier(sync: RunningSync, supplier: SupplierRecord) -> None:
    await sync.catalog.put(supplier.model_copy(update={"removal_after": 5}))


async def add_credential(sync: RunningSync, supplier: SupplierRecord) -> None:
    await sync.catalog.put(a_credential(supplier, "another"))


async def add_rule(sync: RunningSync, supplier: SupplierRecord) -> None:
    rule = {"pattern": "zzz*", "supplier_id": str(supplier.id)}
    assert (await sync.http.post("/api/v1/ignore-rules", json=rule)).status_code == 201


@pytest.mark.parametrize("change", [change_supplier, add_credential, add_rule])
async def test_the_same_listing_is_handed_on_after_a_change_of_what_is_made_of_it(
    sync: RunningSync, change: Callable[[RunningSync, SupplierRecord], Any]
) -> None:
    sync.simulator.openrouter.misbehave(TAGGED)
    supplier, _ = await an_applied_listing(sync)
    await change(sync, supplier)

    run = await sync.listing_of(supplier, SCHEDULE)

    assert run["status"] == "fetched"
    assert conditions_of(sync) == [None, None]


async def test_the_same_listing_is_handed_on_while_the_catalog_still_counts_what_is_missing(sync: RunningSync) -> None:
    supplier, _ = await an_applied_listing(sync, held=1)

    assert (await sync.listing_of(supplier, SCHEDULE))["status"] == "fetched"


async def test_the_same_listing_is_handed_on_while_prices_are_held(sync: RunningSync) -> None:
    supplier, _ = await an_applied_listing(sync)
    sync.simulator.openrouter.serve_models([{"id": "a", "pricing": {"prompt": "0.9"}}, *MODELS[1:]])
    run = await sync.applied(await sync.listing_of(supplier, SCHEDULE))

    assert run["held_prices_count"] == 1
    assert (await sync.listing_of(supplier, SCHEDULE))["status"] == "fetched"


@pytest.mark.parametrize("cause", ["administrator", "credential"])
async def test_whoever_asks_gets_the_listing_read_and_handed_on(sync: RunningSync, cause: str) -> None:
    sync.simulator.openrouter.misbehave(TAGGED)
    supplier, _ = await an_applied_listing(sync)

    assert (await sync.listing_of(supplier, cause))["status"] == "fetched"
    assert conditions_of(sync) == [None, None]


async def test_not_modified_is_no_answer_to_a_request_that_was_not_conditional(sync: RunningSync) -> None:
    supplier, _ = await an_applied_listing(sync)
    sync.simulator.openrouter.misbehave(Fault(status=304))

    run = await sync.listing_of(supplier, SCHEDULE)

    assert (run["status"], run["reason"]) == ("failed", "answered 304 (Not Modified)")


NOW, EPOCH = datetime(2025, 4, 23, tzinfo=UTC), uuid4()
DAY = timedelta(days=1)
BASE = Run(
    id=new_id(),
    supplier_id=new_id(),
    cause=SCHEDULE,
    requested_at=NOW,
    status="applied",
    held=0,
    held_prices_count=0,
    mark="m",
    applied_epoch=EPOCH,
    ended_at=NOW - DAY / 2,
)


@pytest.mark.parametrize(
    "change",
    [
        {"status": "refused"},
        {"held": 1},
        {"held_prices_count": 1},
        {"held_prices_count": None},
        {"mark": "n"},
        {"applied_epoch": uuid4()},
        {"applied_epoch": None},
        {"ended_at": NOW - DAY},
    ],
)
def test_nothing_is_settled_while_handing_it_on_again_could_change_something(change: dict[str, Any]) -> None:
    assert is_settled(BASE, "m", EPOCH, NOW, DAY)
    assert not is_settled(replace(BASE, **change), "m", EPOCH, NOW, DAY)
    assert not is_settled(BASE, "m", None, NOW, DAY)
