"""A listing that looks wrong waits for an administrator, who sees what it would change."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from modelbus.contracts.catalog import CatalogSynced
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import ListingFetched, SyncQuarantined
from running import SERVICE_TOKEN
from sync.catalog_stand_in import a_supplier
from sync.running_sync import RunningSync

MANY = {f"m{number:02}": "0.000001" for number in range(10)}


def entry(name: str, price: str) -> dict[str, Any]:
    return {"id": name, "pricing": {"prompt": price, "completion": price}}


def listed(sync: RunningSync, prices: dict[str, str], *doubles: str) -> None:
    entries = [entry(name, price) for name, price in prices.items()]
    sync.simulator.openrouter.serve_models([*entries, *(entry(name, "1") for name in doubles)])


async def applied(sync: RunningSync, supplier: SupplierRecord) -> dict[str, Any]:
    return await settled(sync, await sync.listing_of(supplier))


async def settled(sync: RunningSync, run: dict[str, Any]) -> dict[str, Any]:
    """Let the catalog apply the listing of the run."""
    counts = {"added": 0, "changed": 0, "removed": 0, "held": 0, "unchanged": 0, "changes": 0}
    await sync.catalog.tell(CatalogSynced(run_id=run["id"], supplier_id=run["supplier_id"], **counts))
    return await sync.run_in(run["id"], "applied")


async def a_listed_supplier(sync: RunningSync, prices: dict[str, str]) -> SupplierRecord:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), namespace=f"n-{uuid4()}")
    await sync.catalog.put(supplier)
    listed(sync, prices)
    await applied(sync, supplier)
    return supplier


async def a_quarantined_run(sync: RunningSync) -> tuple[SupplierRecord, dict[str, Any]]:
    supplier = await a_listed_supplier(sync, MANY)
    listed(sync, {"m00": "0.000001", "m01": "0.000002", "new": "0.000001"})
    return supplier, await sync.listing_of(supplier)


async def review(sync: RunningSync, run: dict[str, Any], **query: Any) -> dict[str, Any]:
    answer = await sync.http.get(f"/api/v1/listings/{run['id']}", params=query)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def decide(sync: RunningSync, run: dict[str, Any], decision: str) -> httpx.Response:
    return await sync.http.post(f"/api/v1/listings/{run['id']}/{decision}")


DEARER = dict.fromkeys(MANY, "0.0000012")
SUSPICIOUS: dict[str, tuple[dict[str, str], tuple[str, ...], str]] = {
    "sudden loss": ({"m00": "0.000001"}, (), "sudden loss: 9 of 10 models are gone"),
    "sudden growth": (
        {f"m{number:02}": "0.000001" for number in range(31)},
        (),
        "sudden growth: 31 models where 10 were",
    ),
    "duplicate ids": (MANY, ("m00",), "duplicate ids: 1 entries have one that was listed before"),
    "one factor": (DEARER, (), "every price is 1.2 times what it was"),
}


@pytest.mark.parametrize("what", SUSPICIOUS)
async def test_a_suspicious_listing_is_quarantined_told_with_the_reasons_and_not_applied(
    sync: RunningSync, what: str
) -> None:
    prices, doubles, reason = SUSPICIOUS[what]
    supplier = await a_listed_supplier(sync, MANY)
    # A model more, or the same names at the same prices would be the listing that is applied already.
    listed(sync, {**prices, "other": "0.000001"} if doubles else prices, *doubles)

    run = await sync.listing_of(supplier)

    [told] = await sync.told_of(SyncQuarantined, run["id"])
    assert (run["status"], run["suspicions"], told.reasons) == ("quarantined", [reason], [reason])
    assert (run["reason"], told.count) == (reason, run["listed_count"])
    assert run["id"] not in {str(each.run_id) for each in await sync.told(ListingFetched)}


@pytest.mark.parametrize(
    "prices",
    [
        {name: MANY[name] for name in list(MANY)[6:]},
        {f"m{number:02}": "0.000001" for number in range(30)},
        {**DEARER, "m00": "0.000001"},
    ],
    ids=["six of ten gone", "three times as many", "all but one dearer"],
)
async def test_a_listing_within_the_thresholds_goes_to_the_catalog(sync: RunningSync, prices: dict[str, str]) -> None:
    supplier = await a_listed_supplier(sync, MANY)
    listed(sync, prices)

    assert (await sync.listing_of(supplier))["status"] == "fetched"


async def test_a_first_listing_is_compared_with_nothing(sync: RunningSync) -> None:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter))
    await sync.catalog.put(supplier)

    assert (await sync.listing_of(supplier))["status"] == "fetched"


async def test_a_listing_in_quarantine_is_no_measure_for_the_next_one(sync: RunningSync) -> None:
    supplier, _ = await a_quarantined_run(sync)

    assert (await sync.listing_of(supplier))["status"] == "quarantined"


async def test_the_same_listing_as_the_one_that_an_administrator_applied_is_above_suspicion(sync: RunningSync) -> None:
    supplier = await a_listed_supplier(sync, MANY)
    listed(sync, {**MANY, "other": "0.000001"}, "m00")
    run = await sync.listing_of(supplier)
    await decide(sync, run, "apply")
    await settled(sync, run)

    assert run["status"] == "quarantined"
    assert (await sync.listing_of(supplier))["status"] == "fetched"


async def test_a_review_shows_what_comes_goes_and_changes_in_pages(sync: RunningSync) -> None:
    _, run = await a_quarantined_run(sync)

    first = await review(sync, run, limit=2)
    rest = await review(sync, run, cursor=first["next_cursor"])

    assert (first["added"], first["removed"], first["changed"]) == (1, 8, 1)
    assert [each["upstream_name"] for each in first["items"]] == ["m01", "m02"]
    assert first["items"][0]["fields"]["cost"]["after"]["input"] == "2"
    assert (rest["items"][-1]["upstream_name"], rest["items"][-1]["change"]) == ("new", "added")
    assert (len(rest["items"]), rest["next_cursor"]) == (8, None)


async def test_an_applied_listing_goes_to_the_catalog_once_however_often_it_is_applied(sync: RunningSync) -> None:
    supplier, run = await a_quarantined_run(sync)

    answers = [await decide(sync, run, "apply") for _ in range(2)]

    assert [(each.status_code, each.json()["status"]) for each in answers] == [(202, "fetched")] * 2
    [told] = await sync.told_of(ListingFetched, run["id"])
    assert (told.count, told.digest) == (3, run["digest"])
    ended = await settled(sync, run)
    assert (ended["decided_by"], ended["reason"]) == ("administrator", None)
    assert len(await sync.told_of(ListingFetched, run["id"])) == 1
    assert (await sync.listing_of(supplier))["status"] == "fetched"
    assert (await decide(sync, run, "discard")).json()["code"] == "not_quarantined"


async def test_a_discarded_listing_stays_away_from_the_catalog(sync: RunningSync) -> None:
    _, run = await a_quarantined_run(sync)

    answers = [await decide(sync, run, "discard") for _ in range(2)]
    late = await decide(sync, run, "apply")

    assert [(each.status_code, each.json()["status"]) for each in answers] == [(200, "discarded")] * 2
    assert (late.status_code, late.json()["code"]) == (409, "not_quarantined")
    assert run["id"] not in {str(each.run_id) for each in await sync.told(ListingFetched)}


async def test_a_listing_is_not_applied_over_a_newer_one(sync: RunningSync) -> None:
    supplier, run = await a_quarantined_run(sync)
    listed(sync, {**MANY, "newer": "0.000001"})
    await applied(sync, supplier)

    answer = await decide(sync, run, "apply")

    assert (answer.status_code, answer.json()["code"]) == (409, "review_outdated")
    assert (await sync.run(run["id"]))["status"] == "quarantined"


async def test_a_listing_is_not_applied_over_a_newer_one_that_is_on_its_way(sync: RunningSync) -> None:
    supplier, run = await a_quarantined_run(sync)
    listed(sync, {**MANY, "newer": "0.000001"})
    await sync.listing_of(supplier)

    answer = await decide(sync, run, "apply")

    assert (answer.status_code, answer.json()["code"]) == (409, "review_outdated")


async def test_only_administrators_see_and_decide(sync: RunningSync) -> None:
    _, run = await a_quarantined_run(sync)
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    path = f"/api/v1/listings/{run['id']}"

    asked = [
        await sync.http.request(method, path + end, headers=headers)
        for method, end in (("GET", ""), ("POST", "/apply"), ("POST", "/discard"))
    ]

    assert [answer.status_code for answer in asked] == [403] * 3
    assert (await sync.http.get(f"/api/v1/listings/{uuid4()}")).status_code == 404
    assert (await sync.http.post(f"/api/v1/listings/{uuid4()}/apply")).status_code == 404
