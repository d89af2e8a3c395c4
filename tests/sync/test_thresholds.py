"""What the guard lets pass may be said for each supplier; empty and cut listings wait to be looked at."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import ListingFetched, SyncQuarantined
from modelbus.simulator import Fault
from running import SERVICE_TOKEN
from sync.catalog_stand_in import a_supplier
from sync.running_sync import RunningSync

MODELS: list[dict[str, Any]] = [{"id": f"m{number}"} for number in range(10)]
USUAL = {"most_lost_share": 0.6, "most_growth": 3.0, "most_doubles": 0, "minds_declared": True}


async def a_listed_supplier(sync: RunningSync) -> SupplierRecord:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), namespace=f"n-{uuid4()}")
    await sync.catalog.put(supplier)
    sync.simulator.openrouter.serve_models(MODELS)
    await sync.applied(await sync.listing_of(supplier))
    return supplier


async def set_guard(sync: RunningSync, supplier: SupplierRecord, **thresholds: Any) -> httpx.Response:
    return await sync.http.put(f"/api/v1/guards/{supplier.id}", json=thresholds)


async def test_a_supplier_is_judged_by_its_own_thresholds_and_the_others_by_those_of_all(sync: RunningSync) -> None:
    wary, usual = await a_listed_supplier(sync), await a_listed_supplier(sync)
    await set_guard(sync, wary, most_lost_share=0.2)
    sync.simulator.openrouter.serve_models(MODELS[:6])

    runs = [await sync.listing_of(supplier) for supplier in (wary, usual)]

    assert [run["status"] for run in runs] == ["quarantined", "fetched"]
    assert runs[0]["reason"] == "sudden loss: 4 of 10 models are gone"


async def test_thresholds_are_shown_with_those_in_force_and_go_back_to_those_of_all(sync: RunningSync) -> None:
    supplier = await a_listed_supplier(sync)
    path = f"/api/v1/guards/{supplier.id}"

    before = (await sync.http.get(path)).json()
    own = (await set_guard(sync, supplier, most_growth=9, minds_declared=False)).json()
    listed = (await sync.http.get("/api/v1/guards")).json()["items"]
    shown = (await sync.http.get(path)).json()
    deleted = [(await sync.http.delete(path)).status_code for _ in range(2)]

    assert (before["in_force"], before["set_by"], before["own"]["most_growth"]) == (USUAL, None, None)
    assert own["in_force"] == {**USUAL, "most_growth": 9.0, "minds_declared": False}
    assert (own["own"]["most_growth"], own["own"]["most_doubles"], own["set_by"]) == (9.0, None, "administrator")
    assert shown == own
    assert own in listed
    assert deleted == [204, 204]
    assert (await sync.http.get(path)).json() == before


@pytest.mark.parametrize(
    ("thresholds", "field"),
    [
        ({"most_lost_share": 1.1}, "most_lost_share"),
        ({"most_growth": 1}, "most_growth"),
        ({"most_doubles": -1}, "most_doubles"),
        ({"most_doubles": 10**30}, "most_doubles"),
        ({"minds_declared": "perhaps"}, "minds_declared"),
        ({"most": 1}, "most"),
    ],
)
async def test_wrong_thresholds_are_refused_with_the_field_named(
    sync: RunningSync, thresholds: dict[str, Any], field: str
) -> None:
    supplier = await a_listed_supplier(sync)

    answer = await set_guard(sync, supplier, **thresholds)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_only_administrators_set_thresholds_and_only_of_suppliers_that_are_there(sync: RunningSync) -> None:
    supplier = await a_listed_supplier(sync)
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}

    assert (await sync.http.put(f"/api/v1/guards/{supplier.id}", json={}, headers=headers)).status_code == 403
    for method in ("GET", "PUT"):
        assert (await sync.http.request(method, f"/api/v1/guards/{uuid4()}", json={})).status_code == 404


async def test_an_empty_listing_waits_to_be_looked_at_and_can_be_applied(sync: RunningSync) -> None:
    supplier = await a_listed_supplier(sync)
    sync.simulator.openrouter.misbehave(Fault(empty_listing=True))

    run = await sync.listing_of(supplier)

    [told] = await sync.told_of(SyncQuarantined, run["id"])
    assert (run["status"], told.reasons, told.count) == ("quarantined", ["empty listing: it has no entry at all"], 0)
    review = (await sync.http.get(f"/api/v1/listings/{run['id']}")).json()
    assert (review["removed"], review["added"]) == (10, 0)
    assert run["id"] not in {str(each.run_id) for each in await sync.told(ListingFetched)}
    applied = await sync.http.post(f"/api/v1/listings/{run['id']}/apply")
    assert applied.status_code == 202
    assert [each.count for each in await sync.told_of(ListingFetched, run["id"])] == [0]


DECLARED: dict[str, tuple[dict[str, Any], str | None]] = {
    "fewer than declared": ({"total": 12}, "cut listing: 9 of 12 entries came that it says there are"),
    "declared beside the list": (
        {"meta": {"total_count": 11}},
        "cut listing: 9 of 11 entries came that it says there are",
    ),
    "as many as declared": ({"total": 9}, None),
    "more than declared": ({"count": 5}, None),
    "no number": ({"total": "many", "count": True, "meta": [1]}, None),
}


@pytest.mark.parametrize("case", DECLARED)
async def test_a_listing_of_fewer_models_than_it_says_there_are_is_cut(sync: RunningSync, case: str) -> None:
    said, reason = DECLARED[case]
    supplier = await a_listed_supplier(sync)
    sync.simulator.openrouter.misbehave(Fault(body={"data": MODELS[:9], **said}))

    run = await sync.listing_of(supplier)

    assert (run["status"], run["reason"]) == ("quarantined" if reason else "fetched", reason)


async def test_entries_that_are_left_out_have_come_all_the_same(sync: RunningSync) -> None:
    supplier = await a_listed_supplier(sync)
    said = {"data": [*MODELS[:9], {"id": "bad\x00"}], "total": 10}
    sync.simulator.openrouter.misbehave(Fault(body=said))

    run = await sync.listing_of(supplier)

    assert (run["status"], run["declared_count"], run["left_out_count"]) == ("fetched", 10, 1)


async def test_what_a_supplier_declares_is_not_minded_where_it_is_known_to_be_wrong(sync: RunningSync) -> None:
    supplier = await a_listed_supplier(sync)
    await set_guard(sync, supplier, minds_declared=False)
    sync.simulator.openrouter.misbehave(Fault(body={"data": MODELS[:9], "total": 99}))

    assert (await sync.listing_of(supplier))["status"] == "fetched"
