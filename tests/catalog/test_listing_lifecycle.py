"""What listings tell beside names and prices: the days of a source's life, and what a model can do."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from builders import a_supplier, shown
from catalog.labels import a_capability, put
from catalogs import Told
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.jobs import let_time_pass
from modelbus.catalog.store import listings, suppliers
from modelbus.catalog.store.capabilities import hold_capabilities
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import (
    CatalogSynced,
    ModelUnavailable,
    SourceAvailable,
    SourceChanged,
    SourceUnavailable,
)
from modelbus.contracts.sync import Life, ListedModel, Listing
from servers import FreshDatabase

PAST, FUTURE = datetime(2025, 6, 30, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)
_revisions = count(1)


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield catalog
    await catalog.close()


async def apply(opened: Database, supplier: dict[str, Any], *listed: ListedModel) -> None:
    listing = Listing(run_id=new_id(), supplier_id=supplier["id"], digest="d", models=list(listed), left_out=[])
    async with opened.transaction() as session:
        await apply_listing(session, listing, next(_revisions))


def one(**fields: Any) -> ListedModel:
    return ListedModel(upstream_name="one", **fields)


def ending(retires_at: datetime, **fields: Any) -> ListedModel:
    return one(life=Life(retires_at=retires_at, **fields))


async def source_of(http: httpx.AsyncClient, supplier: dict[str, Any]) -> dict[str, Any]:
    [source] = (await http.get("/api/v1/sources", params={"supplier_id": supplier["id"]})).json()["items"]
    found: dict[str, Any] = source
    return found


async def abilities(http: httpx.AsyncClient) -> set[str]:
    listed = (await http.get("/api/v1/models/one/capabilities")).json()["items"]
    return {each["name"] for each in listed}


async def test_a_source_past_its_last_day_is_retired_though_it_is_listed(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, one())

    await apply(opened, supplier, ending(PAST, deprecated_at=PAST, replacement="two"))

    source = await source_of(http, supplier)
    assert (source["is_available"], source["reason"], source["replacement"]) == (False, "retired", "two")
    assert source["retires_at"] == source["deprecated_at"] == "2025-06-30T00:00:00Z"
    assert [event.reason for event in await told(SourceUnavailable)] == ["retired"]
    assert [event.reason for event in await told(ModelUnavailable)] == ["retired"]
    record = (await told(SourceChanged))[-1].record
    assert (record.retires_at, record.replacement, record.reason) == (PAST, "two", "retired")


async def test_a_new_source_past_its_last_day_is_never_available(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http)

    await apply(opened, supplier, ending(PAST))

    assert (await source_of(http, supplier))["reason"] == "retired"
    assert await told(SourceAvailable) == []


async def test_one_supplier_s_last_day_is_not_another_s(http: httpx.AsyncClient, opened: Database) -> None:
    first, second = await a_supplier(http), await a_supplier(http)
    await apply(opened, first, ending(PAST))
    await apply(opened, second, one())

    assert (await source_of(http, first))["reason"] == "retired"
    assert (await source_of(http, second))["is_available"]
    assert (await shown(http, "/api/v1/models/one"))["is_available"]


async def test_a_later_day_brings_the_source_back(http: httpx.AsyncClient, opened: Database, told: Told) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, ending(PAST))

    await apply(opened, supplier, ending(FUTURE))

    assert (await source_of(http, supplier))["is_available"]
    assert len(await told(SourceAvailable)) == 1
    counts = (await told(CatalogSynced))[-1]
    assert (counts.added, counts.changed, counts.unchanged) == (0, 1, 0)


async def test_a_source_whose_day_comes_is_retired_without_a_listing(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, ending(datetime.now(UTC) + timedelta(days=1)))
    assert (await source_of(http, supplier))["is_available"]
    async with opened.transaction() as session:
        await session.execute(sa.text("UPDATE catalog.sources SET retires_at = now() - interval '1 second'"))

    await let_time_pass(opened)
    await let_time_pass(opened)

    assert (await source_of(http, supplier))["reason"] == "retired"
    assert [event.reason for event in await told(SourceUnavailable)] == ["retired"]


async def test_a_retired_source_of_a_disabled_supplier_is_not_due_for_ever(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier = await a_supplier(http)
    await apply(opened, supplier, ending(FUTURE))
    await http.patch(f"/api/v1/suppliers/{supplier['id']}", json={"is_active": False})
    async with opened.transaction() as session:
        await session.execute(sa.text("UPDATE catalog.sources SET retires_at = now()"))

    await let_time_pass(opened)
    before = (await source_of(http, supplier))["reason"]
    await http.patch(f"/api/v1/suppliers/{supplier['id']}", json={"is_active": True})

    assert (before, (await source_of(http, supplier))["reason"]) == ("supplier_disabled", "retired")


async def test_dates_and_abilities_that_are_as_they_were_need_no_look(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier = await a_supplier(http)
    await a_capability(http, name="flying")
    life = Life(deprecated_at=PAST, retires_at=FUTURE, replacement="two")
    said = [one(life=life, capabilities=["flying"])]
    others = [
        one(life=life.model_copy(update={"retires_at": PAST}), capabilities=["flying"]),
        one(life=life.model_copy(update={"deprecated_at": None}), capabilities=["flying"]),
        one(life=life.model_copy(update={"replacement": None}), capabilities=["flying"]),
        one(capabilities=["flying"]),
        one(life=life, capabilities=[]),
    ]
    await apply(opened, supplier, *said)

    async with opened.transaction() as session:
        found = await suppliers.get_supplier(session, UUID(supplier["id"]))
        known = await hold_capabilities(session, ["flying"])
        assert await listings.differing(session, found, said, known) == set()
        for other in others:
            assert await listings.differing(session, found, [other], known) == {"one"}


async def test_a_listing_tells_what_a_model_can_do_in_the_catalog_s_words(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier = await a_supplier(http)
    for name in ("flying", "swimming"):
        await a_capability(http, name=name)

    await apply(opened, supplier, one(capabilities=["flying", "juggling"]))
    assert await abilities(http) == {"flying"}
    await apply(opened, supplier, one(capabilities=["swimming"]))
    assert await abilities(http) == {"swimming"}
    await apply(opened, supplier, one())

    assert await abilities(http) == {"swimming"}
    assert (await shown(http, "/api/v1/models/one"))["provenance"]["capabilities"] == supplier["id"]


@pytest.mark.parametrize("is_given", [True, False])
async def test_capabilities_that_an_administrator_gave_or_took_are_not_overwritten(
    http: httpx.AsyncClient, opened: Database, *, is_given: bool
) -> None:
    supplier = await a_supplier(http)
    flying, swimming = await a_capability(http, name="flying"), await a_capability(http, name="swimming")
    await apply(opened, supplier, one(capabilities=["flying"]))
    if is_given:
        await put(http, f"/api/v1/models/one/capabilities/{swimming['id']}", {"config": {"depth": 3}})
    else:
        await http.delete(f"/api/v1/models/one/capabilities/{flying['id']}")

    await apply(opened, supplier, one(capabilities=["flying"], context_window=9))

    assert await abilities(http) == ({"flying", "swimming"} if is_given else set())
    assert (await shown(http, "/api/v1/models/one"))["provenance"]["capabilities"] == "administrator"


async def test_capabilities_from_before_anybody_told_them_stay(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, flying = await a_supplier(http), await a_capability(http, name="flying")
    await a_capability(http, name="swimming")
    await apply(opened, supplier, one())
    async with opened.transaction() as session:
        given = sa.text("UPDATE catalog.models SET capabilities = jsonb_build_object(CAST(:id AS text), '{}'::jsonb)")
        await session.execute(given, {"id": flying["id"]})

    await apply(opened, supplier, one(capabilities=["swimming"]))

    assert await abilities(http) == {"flying"}


async def test_replacing_a_model_does_not_give_its_capabilities_back_to_listings(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier, flying = await a_supplier(http), await a_capability(http, name="flying")
    await apply(opened, supplier, one(capabilities=["flying"]))
    await http.delete(f"/api/v1/models/one/capabilities/{flying['id']}")
    await put(http, "/api/v1/models/one", {"name": "one", "display_name": "Mine"})

    await apply(opened, supplier, one(capabilities=["flying"], context_window=9))

    assert await abilities(http) == set()


@pytest.mark.parametrize("flavour", ["aihubmix", "anthropic", "file", "gemini", "heroku", "ollama"])
async def test_a_supplier_of_each_flavour_can_be_made(http: httpx.AsyncClient, flavour: str) -> None:
    made = await a_supplier(http, flavour=flavour, listing_url="https://files.example.com/models.csv?team=a")

    assert (made["flavour"], made["listing_url"]) == (flavour, "https://files.example.com/models.csv?team=a")


async def test_a_listing_at_a_private_address_is_refused_by_its_field(http: httpx.AsyncClient) -> None:
    made = await a_supplier(http, is_local=False, base_url="https://api.example.com/v1")

    refused = await http.patch(f"/api/v1/suppliers/{made['id']}", json={"listing_url": "http://169.254.169.254/x"})

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "listing_url"
