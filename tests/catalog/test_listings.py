"""Applying listings, with the two real recordings of one aggregator's model list."""

import json
from collections.abc import AsyncIterator
from importlib.resources import files
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import pytest

from builders import a_model, a_supplier, shown
from catalogs import Told
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CatalogSynced, ListingRefused, ModelAvailable, ModelUnavailable, SourceChanged
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import ListedModel, Listing
from servers import FreshDatabase

RECORDINGS = files("modelbus.simulator") / "recordings"


def recorded(day: str) -> list[ListedModel]:
    listed = json.loads((RECORDINGS / f"openrouter_models_{day}.json").read_text())["data"]
    return [
        ListedModel(
            upstream_name=each["id"],
            display_name=each["name"],
            context_window=each["context_length"],
            cost=CostPrices(request=each["pricing"]["prompt"].removeprefix("-")),
        )
        for each in listed
    ]


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield catalog
    await catalog.close()


_revisions = count(1)


async def apply(
    opened: Database,
    supplier: dict[str, Any],
    models: list[ListedModel],
    run: UUID | None = None,
    revision: int | None = None,
    epoch: UUID | None = None,
) -> UUID:
    run_id = run or new_id()
    listing = Listing(run_id=run_id, supplier_id=supplier["id"], digest="d", models=models, left_out=[])
    async with opened.transaction() as session:
        await apply_listing(session, listing, revision or next(_revisions), epoch)
    return run_id


def counts(synced: CatalogSynced) -> tuple[int, int, int, int, int]:
    return synced.added, synced.changed, synced.removed, synced.held, synced.unchanged


async def total(http: httpx.AsyncClient, **filters: Any) -> int:
    found: int = (await http.get("/api/v1/models", params={"limit": 1, "total": True, **filters})).json()["total"]
    return found


async def test_the_recordings_come_and_go_as_they_did(http: httpx.AsyncClient, opened: Database, told: Told) -> None:
    supplier = await a_supplier(http, kind="aggregator")

    await apply(opened, supplier, recorded("2024-11-10"))
    assert await total(http, is_available=True) == 194
    await apply(opened, supplier, recorded("2025-04-23"))
    assert await total(http, is_available=True) == 194 + 157
    await apply(opened, supplier, recorded("2025-04-23"))

    assert await total(http, is_available=True) == 302
    assert await total(http, is_available=False) == 49
    first, second, third = await told(CatalogSynced)
    assert counts(first) == (194, 0, 0, 0, 0)
    assert (second.added, second.removed, second.held) == (157, 0, 49)
    assert second.changed + second.unchanged == 145
    assert counts(third) == (0, 0, 49, 0, 302)
    gone = await told(ModelUnavailable)
    assert len(gone) == 49
    assert {event.reason for event in gone} == {"delisted"}


async def test_a_model_that_returns_is_available_again(http: httpx.AsyncClient, opened: Database, told: Told) -> None:
    supplier = await a_supplier(http, removal_after=1)
    one, two = ListedModel(upstream_name="one"), ListedModel(upstream_name="two")
    await apply(opened, supplier, [one, two])
    await apply(opened, supplier, [one])
    assert (await shown(http, "/api/v1/models/two"))["reason"] == "delisted"

    await apply(opened, supplier, [one, two])

    assert (await shown(http, "/api/v1/models/two"))["is_available"]
    assert sorted(event.name for event in await told(ModelAvailable)) == ["one", "two", "two"]


async def test_a_model_that_misses_only_one_listing_stays(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http, removal_after=2)
    one, two = ListedModel(upstream_name="one"), ListedModel(upstream_name="two")
    for models in ([one, two], [one], [one, two], [one]):
        await apply(opened, supplier, models)

    found = (await http.get("/api/v1/sources", params={"upstream_name": "two"})).json()["items"][0]
    assert (found["is_available"], found["missed"]) == (True, 1)


async def test_an_unchanged_listing_tells_only_that_it_was_applied(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, recorded("2024-11-10"))
    before = len(await told(SourceChanged))

    await apply(opened, supplier, recorded("2024-11-10"))

    assert len(await told(SourceChanged)) == before
    last = (await told(CatalogSynced))[-1]
    assert (counts(last), last.changes) == ((0, 0, 0, 0, 194), 0)


async def test_a_listing_is_applied_once_however_often_it_is_announced(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http)
    run = await apply(opened, supplier, [ListedModel(upstream_name="one")])

    await apply(opened, supplier, [], run)

    assert len(await told(CatalogSynced)) == 1
    assert (await shown(http, "/api/v1/models/one"))["is_available"]


async def test_offers_of_two_suppliers_meet_in_one_model(http: httpx.AsyncClient, opened: Database) -> None:
    direct = await a_supplier(http, namespace="openai")
    aggregator = await a_supplier(http, kind="aggregator")

    await apply(opened, aggregator, [ListedModel(upstream_name="openai/gpt-4o")])
    await apply(opened, direct, [ListedModel(upstream_name="gpt-4o")])

    offered = (await http.get("/api/v1/models/openai/gpt-4o/sources")).json()["items"]
    assert [(each["upstream_name"], each["priority"]) for each in offered] == [("gpt-4o", 100), ("openai/gpt-4o", 200)]


async def test_a_price_change_is_told(http: httpx.AsyncClient, opened: Database, told: Told) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, [ListedModel(upstream_name="one", cost=CostPrices(input="1.5"))])

    await apply(opened, supplier, [ListedModel(upstream_name="one", cost=CostPrices(input="0.75"))])

    assert [str(event.record.cost.input) for event in await told(SourceChanged)] == ["1.5", "0.75"]
    assert counts((await told(CatalogSynced))[-1]) == (0, 1, 0, 0, 0)


async def test_what_an_administrator_told_is_never_overwritten(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, [ListedModel(upstream_name="one", context_window=1000, display_name="One")])
    await http.patch("/api/v1/models/one", json={"context_window": 2000})

    await apply(opened, supplier, [ListedModel(upstream_name="one", context_window=3000, display_name="Uno")])

    found = await shown(http, "/api/v1/models/one")
    assert (found["context_window"], found["display_name"]) == (2000, "Uno")
    assert found["provenance"] == {
        "context_window": "administrator",
        "display_name": supplier["id"],
    }


async def test_two_suppliers_that_disagree_do_not_take_turns(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    one, other = await a_supplier(http), await a_supplier(http)
    for _ in range(2):
        await apply(opened, one, [ListedModel(upstream_name="m", context_window=1000)])
        await apply(opened, other, [ListedModel(upstream_name="m", context_window=9000)])

    assert (await shown(http, "/api/v1/models/m"))["context_window"] == 1000
    assert [counts(each) for each in (await told(CatalogSynced))[2:]] == [(0, 0, 0, 0, 1), (0, 0, 0, 0, 1)]


async def test_a_source_made_by_hand_is_never_removed_by_a_listing(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, model = await a_supplier(http, removal_after=1), await a_model(http)
    body = {"model_id": model["id"], "supplier_id": supplier["id"], "upstream_name": "by-hand"}
    source = (await http.post("/api/v1/sources", json=body)).json()

    await apply(opened, supplier, [ListedModel(upstream_name="one")])

    assert (await shown(http, f"/api/v1/sources/{source['id']}"))["is_available"]


async def test_a_disabled_source_stays_disabled_when_listed(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, [ListedModel(upstream_name="one")])
    [source] = (await http.get("/api/v1/models/one/sources")).json()["items"]
    await http.post(f"/api/v1/sources/{source['id']}/disable")

    await apply(opened, supplier, [ListedModel(upstream_name="one", cost=CostPrices(input="1"))])

    assert (await shown(http, "/api/v1/models/one"))["reason"] == "disabled"


async def test_a_deleted_model_does_not_come_back_by_a_listing_until_it_is_made_anew(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, [ListedModel(upstream_name="one")])
    await http.delete("/api/v1/models/one")
    await apply(opened, supplier, [ListedModel(upstream_name="one")])
    assert (await http.get("/api/v1/models/one")).status_code == 404

    await a_model(http, name="one")
    await apply(opened, supplier, [ListedModel(upstream_name="one")])

    assert (await shown(http, "/api/v1/models/one"))["is_available"]


async def test_a_listing_of_a_deleted_supplier_is_refused_and_told(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http)
    await http.delete(f"/api/v1/suppliers/{supplier['id']}")

    run = await apply(opened, supplier, [ListedModel(upstream_name="one")])

    [refused] = await told(ListingRefused)
    assert (refused.run_id, "deleted" in refused.reason) == (run, True)
    assert await total(http) == 0


async def test_a_listing_that_comes_late_does_not_undo_a_newer_one(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http, removal_after=1)
    await apply(opened, supplier, [ListedModel(upstream_name="two")], revision=1_000_002)

    run = await apply(opened, supplier, [ListedModel(upstream_name="one")], revision=1_000_001)

    [refused] = await told(ListingRefused)
    assert (refused.run_id, "newer" in refused.reason) == (run, True)
    assert (await shown(http, "/api/v1/models/two"))["is_available"]
    assert (await http.get("/api/v1/models/one")).status_code == 404


async def test_a_database_of_syncs_that_counts_from_an_earlier_number_is_heard_in_its_new_epoch(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    before, after = new_id(), new_id()
    supplier = await a_supplier(http, removal_after=1)
    # In order: applied before epochs were kept, then in one, one that comes late, a restored one, one that comes late.
    deliveries = [(None, 7, True), (before, 7, False), (before, 9, True), (before, 8, False)]
    deliveries += [(after, 3, True), (after, 2, False), (before, 10, False), (after, 4, True)]

    applied = []
    for number, (epoch, revision, _) in enumerate(deliveries):
        run = await apply(opened, supplier, [ListedModel(upstream_name=f"m-{number}")], revision=revision, epoch=epoch)
        applied.append(run not in {each.run_id for each in await told(ListingRefused)})

    assert applied == [is_applied for _, _, is_applied in deliveries]
