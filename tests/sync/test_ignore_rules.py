"""Names that rules leave out of listings: nothing is added, changed or removed for them."""

from typing import Any
from uuid import uuid4

import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import Listing
from modelbus.sync.domain.ignore_rules import Ignoring
from running import SERVICE_TOKEN
from sync.catalog_stand_in import a_supplier
from sync.running_sync import RunningSync

NAMES = ["acme/large", "acme/large:free", "acme/small", "other/large"]


async def a_listed_supplier(sync: RunningSync, *names: str) -> tuple[SupplierRecord, dict[str, Any]]:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter), namespace=f"n-{uuid4()}")
    await sync.catalog.put(supplier)
    sync.simulator.openrouter.serve_models([{"id": name} for name in names or NAMES])
    return supplier, await sync.applied(await sync.listing_of(supplier))


async def ignore(sync: RunningSync, supplier: SupplierRecord | None, pattern: str) -> dict[str, Any]:
    rule = {"pattern": pattern, "supplier_id": str(supplier.id) if supplier else None, "note": "no"}
    answer = await sync.http.post("/api/v1/ignore-rules", json=rule)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listing_of(sync: RunningSync, run: dict[str, Any]) -> Listing:
    return Listing.model_validate_json((await sync.http.get(f"/api/v1/runs/{run['id']}/listing")).content)


async def test_what_a_rule_matches_is_left_out_of_the_next_listing_and_named_in_it(sync: RunningSync) -> None:
    supplier, base = await a_listed_supplier(sync)
    await ignore(sync, supplier, "*:free")
    await ignore(sync, supplier, "acme/s?all")

    run = await sync.listing_of(supplier)

    listing = await listing_of(sync, run)
    assert [model.upstream_name for model in listing.models] == ["acme/large", "other/large"]
    assert listing.ignored == ["acme/large:free", "acme/small"]
    assert (run["listed_count"], run["ignored_count"], run["left_out_count"]) == (2, 2, 0)
    assert run["digest"] != base["digest"]


async def test_a_rule_for_all_suppliers_holds_for_each_and_one_of_another_for_none(sync: RunningSync) -> None:
    supplier, _ = await a_listed_supplier(sync)
    other, _ = await a_listed_supplier(sync)
    own = await ignore(sync, other, "acme/*")
    common = await ignore(sync, None, "other/*")

    run = await sync.listing_of(supplier)
    listed = (await sync.http.get("/api/v1/ignore-rules", params={"supplier_id": str(supplier.id)})).json()["items"]
    for rule in (own, common):
        assert (await sync.http.delete(f"/api/v1/ignore-rules/{rule['id']}")).status_code == 204
    again = await sync.listing_of(supplier)

    assert (run["ignored_count"], again["ignored_count"]) == (1, 0)
    assert [(rule["pattern"], rule["note"], rule["created_by"]) for rule in listed] == [
        ("other/*", "no", "administrator")
    ]


async def test_names_that_a_rule_leaves_out_are_neither_a_loss_nor_later_a_growth(sync: RunningSync) -> None:
    many = [f"m{number:02}" for number in range(40)]
    supplier, _ = await a_listed_supplier(sync, *many)
    rule = await ignore(sync, supplier, "m[1-3]?")

    fewer = await sync.applied(await sync.listing_of(supplier))
    await sync.http.delete(f"/api/v1/ignore-rules/{rule['id']}")
    more = await sync.listing_of(supplier)

    assert (fewer["listed_count"], fewer["ignored_count"]) == (10, 30)
    assert (more["status"], more["listed_count"], more["suspicions"]) == ("fetched", 40, None)


async def test_a_listing_of_nothing_but_ignored_names_is_not_empty(sync: RunningSync) -> None:
    supplier, _ = await a_listed_supplier(sync)
    await ignore(sync, supplier, "*")

    run = await sync.listing_of(supplier)

    assert (run["status"], run["listed_count"], run["ignored_count"]) == ("fetched", 0, 4)


async def test_a_preview_shows_what_a_pattern_would_leave_out_and_writes_nothing(sync: RunningSync) -> None:
    supplier, _ = await a_listed_supplier(sync)
    other, _ = await a_listed_supplier(sync, "acme/other", "x")
    before = (await sync.http.get("/api/v1/ignore-rules")).json()

    mine = await sync.http.post(
        "/api/v1/ignore-rules/preview", json={"pattern": "acme/*", "supplier_id": str(supplier.id)}
    )
    everywhere = await sync.http.post("/api/v1/ignore-rules/preview", json={"pattern": "acme/oth*"})

    assert [each["upstream_name"] for each in mine.json()["items"]] == NAMES[:3]
    assert mine.json()["count"] == 3
    assert [(each["supplier_id"], each["supplier_name"]) for each in everywhere.json()["items"]] == [
        (str(other.id), "aggregator")
    ]
    assert (await sync.http.get("/api/v1/ignore-rules")).json() == before


async def test_a_rule_is_shown_and_not_written_twice(sync: RunningSync) -> None:
    supplier, _ = await a_listed_supplier(sync)
    rule = await ignore(sync, supplier, "x")

    shown = await sync.http.get(f"/api/v1/ignore-rules/{rule['id']}")
    twice = await sync.http.post("/api/v1/ignore-rules", json={"pattern": "x", "supplier_id": str(supplier.id)})
    gone = [await sync.http.request(method, f"/api/v1/ignore-rules/{new_id()}") for method in ("GET", "DELETE")]

    assert shown.json() == rule
    assert (twice.status_code, twice.json()["code"]) == (409, "ignore_rule_exists")
    assert [answer.status_code for answer in gone] == [404, 404]


@pytest.mark.parametrize("path", ["", "/preview"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"pattern": ""}, "pattern"),
        ({"pattern": " x"}, "pattern"),
        ({"pattern": "a\x00"}, "pattern"),
        ({"pattern": "x" * 201}, "pattern"),
        ({}, "pattern"),
        ({"pattern": "x", "supplier": "y"}, "supplier"),
        ({"pattern": "x", "supplier_id": str(uuid4())}, "supplier_id"),
    ],
)
async def test_a_wrong_rule_is_refused_with_the_field_named(
    sync: RunningSync, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await sync.http.post(f"/api/v1/ignore-rules{path}", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_a_service_s_token_opens_no_rules(sync: RunningSync) -> None:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}

    assert (await sync.http.get("/api/v1/ignore-rules", headers=headers)).status_code == 403


@pytest.mark.parametrize(
    ("pattern", "name", "is_ignored"),
    [
        ("gpt-*", "gpt-4o", True),
        ("gpt-*", "my/gpt-4o", False),
        ("*gpt*", "my/gpt-4o", True),
        ("GPT-*", "gpt-4o", False),
        ("a?c", "abc", True),
        ("a[bd]c", "acc", False),
        ("a.c", "abc", False),
    ],
)
def test_a_pattern_matches_the_whole_name_as_it_is_written(pattern: str, name: str, *, is_ignored: bool) -> None:
    assert (name in Ignoring([pattern, "nothing"])) is is_ignored
    assert name not in Ignoring([])


def test_a_pattern_that_means_harm_is_matched_in_no_time() -> None:
    assert "a" * 200 not in Ignoring(["*a" * 60 + "b"])
