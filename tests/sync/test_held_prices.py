"""Held prices from the listing to the administrator who takes them."""

from typing import Any
from uuid import uuid4

from modelbus.contracts.catalog import CatalogSynced
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import Listing, ListingFetched
from running import SERVICE_TOKEN
from sync.catalog_stand_in import a_supplier
from sync.running_sync import RunningSync


def entry(name: str, price: str) -> dict[str, Any]:
    return {"id": name, "pricing": {"prompt": price, "completion": price}}


def listed(sync: RunningSync, **prices: str) -> None:
    """Let the supplier list these models at these prices in USD per token."""
    sync.simulator.openrouter.serve_models([entry(name, price) for name, price in prices.items()])


async def applied(sync: RunningSync, supplier: SupplierRecord, run_id: Any = None) -> dict[str, Any]:
    """Have the supplier listed, or take that run, and let the catalog apply the listing."""
    run = await sync.listing_of(supplier) if run_id is None else await sync.run_in(run_id, "fetched")
    counts = {"added": 0, "changed": 0, "removed": 0, "held": 0, "unchanged": 0, "changes": 0}
    await sync.catalog.tell(CatalogSynced(run_id=run["id"], supplier_id=run["supplier_id"], **counts))
    return await sync.run_in(run["id"], "applied")


async def prices_of(sync: RunningSync, run: dict[str, Any]) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    answer = await sync.http.get(f"/api/v1/runs/{run['id']}/listing", headers=headers)
    models = Listing.model_validate_json(answer.content).models
    return {model.upstream_name: str(model.cost.input) for model in models}


async def held(sync: RunningSync, run: dict[str, Any], **query: Any) -> dict[str, Any]:
    answer = await sync.http.get(f"/api/v1/runs/{run['id']}/prices/held", params=query)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def a_known_supplier(sync: RunningSync, **fields: Any) -> SupplierRecord:
    # A namespace of its own, or the listings of other tests would be what is known elsewhere.
    mine = {"namespace": f"n-{uuid4()}", **fields}
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), **mine)
    await sync.catalog.put(supplier)
    return supplier


async def test_a_jump_is_held_with_the_old_and_the_new_until_it_is_taken(sync: RunningSync) -> None:
    supplier = await a_known_supplier(sync)
    listed(sync, a="0.000003", b="0.000001")
    await applied(sync, supplier)
    listed(sync, a="0.0009", b="0.000002")

    jumped = await applied(sync, supplier)
    page = await held(sync, jumped)
    accepted = await sync.http.post(f"/api/v1/runs/{jumped['id']}/prices/accept", json={})
    taken = await applied(sync, supplier, accepted.json()["run_id"])
    again = await applied(sync, supplier)

    assert await prices_of(sync, jumped) == {"a": "3", "b": "2"}
    [item] = page["items"]
    assert (item["upstream_name"], item["known"]["input"], item["listed"]["input"]) == ("a", "3", "900")
    assert item["reason"] == "input was 3 and is 900 now, more than 100 times more"
    assert page["next_cursor"] is None
    assert accepted.status_code == 202
    assert (taken["cause"], await prices_of(sync, taken)) == ("administrator", {"a": "900", "b": "2"})
    assert again["digest"] == taken["digest"]
    assert (await held(sync, again))["items"] == []


async def test_what_is_held_stays_so_and_the_listing_equal(sync: RunningSync) -> None:
    supplier = await a_known_supplier(sync)
    listed(sync, a="0.000003")
    await applied(sync, supplier)
    listed(sync, a="0")

    first, second = await applied(sync, supplier), await applied(sync, supplier)

    assert first["digest"] == second["digest"]
    assert await prices_of(sync, second) == {"a": "3"}


async def test_only_the_named_models_prices_are_taken(sync: RunningSync) -> None:
    supplier = await a_known_supplier(sync)
    listed(sync, a="0.000003", b="0.000003", c="0.000003", d="0.000003", e="0.000003")
    await applied(sync, supplier)
    listed(sync, a="0.0009", b="0.0009", c="0.000003", d="0.000003", e="0.000003")
    jumped = await applied(sync, supplier)

    page = await held(sync, jumped, limit=1)
    rest = await held(sync, jumped, limit=1, cursor=page["next_cursor"])
    body = {"upstream_names": ["b"]}
    accepted = await sync.http.post(f"/api/v1/runs/{jumped['id']}/prices/accept", json=body)
    taken = await applied(sync, supplier, accepted.json()["run_id"])

    assert [item["upstream_name"] for item in page["items"] + rest["items"]] == ["a", "b"]
    assert {name: price for name, price in (await prices_of(sync, taken)).items() if name in "ab"} == {
        "a": "3",
        "b": "900",
    }


async def test_the_unit_of_a_first_listing_is_checked_against_other_suppliers(sync: RunningSync) -> None:
    listed(sync, **{"house/a": "0.000003", "house/b": "0.000001"})
    await applied(sync, await a_known_supplier(sync, namespace=None))
    listed(sync, a="3", b="1.1")

    run = await applied(sync, await a_known_supplier(sync, namespace="house"))

    assert await prices_of(sync, run) == {"a": "None", "b": "None"}
    assert "a million times too high" in (await held(sync, run))["items"][0]["reason"]


async def test_prices_without_a_unit_are_taken_in_the_one_that_is_named(sync: RunningSync) -> None:
    url = sync.simulator.base_url(sync.simulator.files) + "/models.csv"
    supplier = await a_known_supplier(sync, flavour="file", listing_url=url)
    sync.simulator.files.serve_models([{"id": "mine", "input_price": "0.003", "output_price": "0.015"}])

    run = await applied(sync, supplier)
    body = {"unit": "per_thousand"}
    accepted = await sync.http.post(f"/api/v1/runs/{run['id']}/prices/accept", json=body)
    await applied(sync, supplier, accepted.json()["run_id"])
    again = await applied(sync, supplier)

    assert await prices_of(sync, run) == {"mine": "None"}
    assert await prices_of(sync, again) == {"mine": "3"}
    assert (await held(sync, again))["items"] == []


async def test_prices_of_a_listing_that_is_not_the_last_one_are_not_taken(sync: RunningSync) -> None:
    supplier = await a_known_supplier(sync)
    listed(sync, a="0.000003")
    first = await applied(sync, supplier)
    listed(sync, a="0.0009")
    second = await applied(sync, supplier)

    outdated = await sync.http.post(f"/api/v1/runs/{first['id']}/prices/accept", json={})
    nothing = await sync.http.post(f"/api/v1/runs/{second['id']}/prices/accept", json={"upstream_names": ["z"]})

    assert (outdated.status_code, outdated.json()["code"]) == (409, "listing_outdated")
    assert second["id"] in outdated.json()["detail"]
    assert (nothing.status_code, nothing.json()["code"]) == (409, "nothing_held")


async def test_a_listing_that_was_not_applied_teaches_no_price(sync: RunningSync) -> None:
    supplier = await a_known_supplier(sync)
    listed(sync, a="0.000003")
    await applied(sync, supplier)
    listed(sync, a="0.00009")
    await sync.listing_of(supplier)
    listed(sync, a="0.0009")

    run = await sync.listing_of(supplier)

    assert await prices_of(sync, run) == {"a": "3"}


async def test_a_service_s_token_neither_sees_nor_takes_prices(sync: RunningSync) -> None:
    supplier = await a_known_supplier(sync)
    run = await applied(sync, supplier)
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}

    seen = await sync.http.get(f"/api/v1/runs/{run['id']}/prices/held", headers=headers)
    taken = await sync.http.post(f"/api/v1/runs/{run['id']}/prices/accept", json={}, headers=headers)

    assert (seen.status_code, taken.status_code) == (403, 403)


async def test_accepted_prices_are_told_as_a_listing(sync: RunningSync) -> None:
    supplier = await a_known_supplier(sync)
    listed(sync, a="0.000003")
    await applied(sync, supplier)
    listed(sync, a="0.0009")
    jumped = await applied(sync, supplier)

    accepted = await sync.http.post(f"/api/v1/runs/{jumped['id']}/prices/accept", json={})

    [told] = await sync.told_of(ListingFetched, accepted.json()["run_id"])
    assert (told.count, told.supplier_id) == (1, supplier.id)
    run = await sync.run(accepted.json()["run_id"])
    assert (run["attempts"], run["listed_count"], run["supplier_name"]) == (0, 1, "aggregator")
