"""Prices come into force by the clock, once, whoever's clock it is."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import httpx
import pytest

from builders import a_served_model, shown
from catalog.pricing import a_costed_model, a_price, known, later
from catalogs import Told
from modelbus.catalog.actions.prices import turn_prices
from modelbus.catalog.actions.versions import write
from modelbus.catalog.jobs import let_prices_turn
from modelbus.catalog.store.prices import CHARGES
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.contracts.catalog import PriceChanged, SourceChanged
from running import eventually
from servers import FreshDatabase


@pytest.fixture
async def replicas(database: FreshDatabase) -> AsyncIterator[list[Database]]:
    opened = [Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write) for _ in range(3)]
    yield opened
    for each in opened:
        await each.close()


async def bring_forward(database: FreshDatabase) -> None:
    """Let what is to come be due, without waiting for it."""
    connection = await asyncpg.connect(database.superuser())
    try:
        async with connection.transaction():
            for table in ("charge_prices", "cost_prices"):
                # What is in force ends before what is to come begins, so that both are due.
                await connection.execute(
                    f"""
                    UPDATE catalog.{table} SET valid =
                        CASE state WHEN 'in_force' THEN tstzrange(lower(valid) - interval '1 day', $1)
                        ELSE tstzrange($1, upper(valid)) END
                    WHERE state IN ('in_force', 'coming')
                    """,
                    datetime.now(UTC),
                )
    finally:
        await connection.close()


async def test_a_price_comes_into_force_at_its_time_and_is_told(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    await a_price(http, {"input": "1"}, model_id=model["id"])
    begins = later(seconds=1)
    await a_price(http, {"input": "2"}, model_id=model["id"], valid_from=begins)

    async def is_told() -> bool:
        return str((await told(PriceChanged))[-1].record.charge.input) == "2"

    await eventually(is_told)
    # The first is told twice: once the second is known, it has an end.
    news = [(str(each.record.charge.input), each.record.valid_until is None) for each in await told(PriceChanged)]
    assert news == [("1", True), ("1", False), ("2", True)]
    found = await shown(http, f"/api/v1/models/{model['id']}/prices/history")
    assert [(each["state"], each["valid_from"] == begins) for each in found["items"]] == [
        ("in_force", True),
        ("over", False),
    ]
    [record] = (await shown(http, "/api/v1/snapshot?kinds=price"))["records"]["price"]
    assert (record["charge"]["input"], record["valid_from"]) == ("2", begins)


async def test_a_cost_that_comes_into_force_is_its_sources_cost(
    http: httpx.AsyncClient, database: FreshDatabase, replicas: list[Database], told: Told
) -> None:
    model = await a_costed_model(http, {"input": "1"})
    [source] = (await shown(http, f"/api/v1/models/{model['id']}/sources"))["items"]
    await a_price(http, {"input": "2"}, source_id=source["id"], valid_from=later(days=1))
    await bring_forward(database)

    await let_prices_turn(replicas[0])

    found = await shown(http, f"/api/v1/sources/{source['id']}")
    assert known(found["cost"]) == {"input": "2"}
    assert str((await told(SourceChanged))[-1].record.cost.input) == "2"


async def test_several_replicas_bring_a_price_into_force_once(
    http: httpx.AsyncClient, database: FreshDatabase, replicas: list[Database], told: Told
) -> None:
    models = [await a_served_model(http) for _ in range(5)]
    for model in models:
        await a_price(http, {"input": "1"}, model_id=model["id"])
        await a_price(http, {"input": "2"}, model_id=model["id"], valid_from=later(days=1))
    before = len(await told(PriceChanged))
    await bring_forward(database)

    await asyncio.gather(*(let_prices_turn(each) for each in replicas))

    news = (await told(PriceChanged))[before:]
    assert sorted(str(event.id) for event in news) == sorted(model["id"] for model in models)
    assert {str(event.record.charge.input) for event in news} == {"2"}


async def test_while_nothing_is_due_the_clock_writes_nothing(
    http: httpx.AsyncClient, replicas: list[Database], told: Told
) -> None:
    model = await a_served_model(http)
    await a_price(http, model_id=model["id"], valid_from=later(days=1))

    async with replicas[0].transaction() as session:
        assert not await turn_prices(session, CHARGES)

    assert await told(PriceChanged) == []


async def test_a_price_that_ends_by_the_clock_leaves_the_model_pending(
    http: httpx.AsyncClient, replicas: list[Database], told: Told
) -> None:
    model = await a_served_model(http)
    await a_price(http, model_id=model["id"], valid_until=later(seconds=0.3))

    async def is_gone() -> bool:
        await let_prices_turn(replicas[0])
        return bool((await told(PriceChanged))[-1].deleted)

    await eventually(is_gone)
    assert (await shown(http, f"/api/v1/models/{model['id']}/prices"))["state"] == "pending"
