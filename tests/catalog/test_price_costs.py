"""What sources cost follows their listings, unless an administrator knows better."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from builders import a_supplier, shown
from catalog.pricing import PRICES, a_price, known, later
from catalogs import Told
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.actions.versions import write
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CatalogSynced, SourceChanged
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import ListedModel, Listing
from servers import FreshDatabase

_revisions = count(1)


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
    yield catalog
    await catalog.close()


@pytest.fixture
async def supplier(http: httpx.AsyncClient) -> dict[str, Any]:
    return await a_supplier(http)


async def apply(opened: Database, supplier: dict[str, Any], **costs: CostPrices) -> None:
    models = [ListedModel(upstream_name=name, cost=cost) for name, cost in costs.items()]
    listing = Listing(run_id=new_id(), supplier_id=UUID(supplier["id"]), digest="d", models=models, left_out=[])
    async with opened.transaction(Caller.system("sync")) as session:
        await apply_listing(session, listing, next(_revisions))


async def source_of(http: httpx.AsyncClient, model: str) -> dict[str, Any]:
    [source] = (await shown(http, f"/api/v1/models/{model}/sources"))["items"]
    found: dict[str, Any] = source
    return found


async def history(http: httpx.AsyncClient, source: dict[str, Any]) -> list[tuple[Any, str, str]]:
    found = (await shown(http, f"/api/v1/sources/{source['id']}/prices/history"))["items"]
    return [(known(each["prices"]), each["origin"], each["state"]) for each in found]


async def assert_costs_are_in_force(database: FreshDatabase) -> None:
    """Every source's cost is its period in force, number for number."""
    connection = await asyncpg.connect(database.superuser())
    try:
        differing = await connection.fetch(
            """
            SELECT sources.id, cost, cost_origin, prices.* FROM catalog.sources
            LEFT JOIN catalog.cost_prices AS prices ON source_id = sources.id AND state = 'in_force'
            WHERE ((cost->>'input')::numeric, (cost->>'output')::numeric, (cost->>'image')::numeric)
                IS DISTINCT FROM (input, output, image) OR cost_origin <> coalesce(prices.origin, 'listing')
            """
        )
    finally:
        await connection.close()
    assert differing == []


async def test_a_listing_begins_and_ends_costs_only_where_they_differ(
    http: httpx.AsyncClient, opened: Database, supplier: dict[str, Any], database: FreshDatabase
) -> None:
    await apply(opened, supplier, one=CostPrices(input="1"), two=CostPrices(input="2.50"), free=CostPrices())
    await apply(opened, supplier, one=CostPrices(input="1"), two=CostPrices(input="2"), free=CostPrices(input="0"))
    await apply(opened, supplier, one=CostPrices(input="1"), two=CostPrices(), free=CostPrices(input="0"))

    one, two, free = [await source_of(http, name) for name in ("one", "two", "free")]
    assert await history(http, one) == [({"input": "1"}, "listing", "in_force")]
    assert await history(http, two) == [({"input": "2"}, "listing", "over"), ({"input": "2.5"}, "listing", "over")]
    assert await history(http, free) == [({"input": "0"}, "listing", "in_force")]
    assert known(two["cost"]) == {}
    await assert_costs_are_in_force(database)


async def test_a_cost_set_by_hand_is_never_overwritten_by_a_listing(
    http: httpx.AsyncClient, opened: Database, supplier: dict[str, Any], told: Told, database: FreshDatabase
) -> None:
    await apply(opened, supplier, one=CostPrices(input="1"))
    source = await source_of(http, "one")
    await a_price(http, {"input": "0.7"}, source_id=source["id"])
    before = len(await told(SourceChanged))

    for amount in ("1", "2", "3"):
        await apply(opened, supplier, one=CostPrices(input=amount))

    assert known((await source_of(http, "one"))["cost"]) == {"input": "0.7"}
    assert (await history(http, source))[0] == ({"input": "0.7"}, "administrator", "in_force")
    assert len(await told(SourceChanged)) == before
    synced = (await told(CatalogSynced))[-1]
    assert (synced.changed, synced.unchanged) == (0, 1)
    await assert_costs_are_in_force(database)


async def test_a_listing_says_the_cost_again_once_the_administrators_has_ended(
    http: httpx.AsyncClient, opened: Database, supplier: dict[str, Any], database: FreshDatabase
) -> None:
    await apply(opened, supplier, one=CostPrices(input="1"))
    source = await source_of(http, "one")
    price = (await a_price(http, {"input": "0.7"}, source_id=source["id"]))["in_force"]
    await http.post(f"{PRICES}/{price['id']}/end")

    await apply(opened, supplier, one=CostPrices(input="1"))

    assert await history(http, source) == [
        ({"input": "1"}, "listing", "in_force"),
        ({"input": "0.7"}, "administrator", "over"),
        ({"input": "1"}, "listing", "over"),
    ]
    await assert_costs_are_in_force(database)


async def test_a_listing_leaves_alone_what_is_to_come(
    http: httpx.AsyncClient, opened: Database, supplier: dict[str, Any], database: FreshDatabase
) -> None:
    await apply(opened, supplier, one=CostPrices(input="1"))
    source = await source_of(http, "one")
    begins = later(days=1)
    await a_price(http, {"input": "9"}, source_id=source["id"], valid_from=begins)

    await apply(opened, supplier, one=CostPrices(input="2"))

    found = await shown(http, f"/api/v1/sources/{source['id']}/prices")
    assert (known(found["in_force"]["prices"]), found["in_force"]["valid_until"]) == ({"input": "2"}, begins)
    assert [known(each["prices"]) for each in found["coming"]] == [{"input": "9"}]
    await assert_costs_are_in_force(database)


async def test_a_cost_by_a_listing_is_a_version_of_its_source_by_sync(
    http: httpx.AsyncClient, opened: Database, supplier: dict[str, Any]
) -> None:
    await apply(opened, supplier, one=CostPrices(input="1"))
    await apply(opened, supplier, one=CostPrices(input="2"))

    source = await source_of(http, "one")
    newest = (await shown(http, f"/api/v1/sources/{source['id']}/versions"))["items"][0]
    assert newest["caller_name"] == "sync"
    [cost] = [each for each in newest["differences"] if each["field"] == "cost"]
    assert (cost["before"]["input"], cost["after"]["input"]) == ("1", "2")


async def test_a_source_made_by_hand_with_a_cost_keeps_it(
    http: httpx.AsyncClient, opened: Database, supplier: dict[str, Any], database: FreshDatabase
) -> None:
    await apply(opened, supplier, one=CostPrices())
    model = await shown(http, "/api/v1/models/one")
    made = {"model_id": model["id"], "supplier_id": supplier["id"]}
    for name, cost in (("by-hand", {"input": "5"}), ("unknown", {})):
        await http.post("/api/v1/sources", json={**made, "upstream_name": name, "cost": cost})

    await apply(opened, supplier, **{"one": CostPrices(), "by-hand": CostPrices(input="1"), "unknown": CostPrices()})

    items = (await shown(http, "/api/v1/models/one/sources"))["items"]
    costs = {each["upstream_name"]: known(each["cost"]) for each in items}
    assert costs == {"one": {}, "by-hand": {"input": "5"}, "unknown": {}}
    await assert_costs_are_in_force(database)
