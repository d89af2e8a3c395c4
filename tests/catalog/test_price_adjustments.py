"""Adjusting many charges at once: the preview is exactly what then happens."""

from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from builders import a_model, a_served_model, shown
from catalog.pricing import PRICES, a_costed_model, a_price, known, later
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.catalog.actions.price_adjustments import adjust_prices
from modelbus.catalog.actions.versions import write
from modelbus.catalog.domain.price_adjustments import Adjustment, ByPercent
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import PriceChanged
from servers import FreshDatabase

ADJUST = f"{PRICES}/adjust"
COSTS: tuple[dict[str, Any], ...] = (
    {"input": "1", "output": "4"},
    {"input": "0.15", "output": "0.60", "cached_input": "0.075"},
    {"image": "0.04"},
    {"is_dynamic": True},
    {"input": "0"},
    {},
)


async def adjusted(http: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await http.post(ADJUST, json={"filter": {}, **body})
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


async def charges(http: httpx.AsyncClient) -> dict[str, Any]:
    items = (await shown(http, f"{PRICES}?limit=200"))["items"]
    return {each["model_id"]: each["charge"] and each["charge"]["prices"] for each in items}


async def world(http: httpx.AsyncClient) -> None:
    """Make models of every sort: with costs of all kinds, priced or not, served or not, with prices to come."""
    for cost in COSTS:
        model = await a_costed_model(http, cost, {"input": "2", "output": "3"})
        await a_price(http, {"input": "2.345", "output": "7"}, model_id=model["id"])
        await a_costed_model(http, cost)
    waiting = await a_served_model(http)
    await a_price(http, {"input": "1"}, model_id=waiting["id"], valid_from=later(days=1))
    orphan = await a_model(http)
    await a_price(http, {"request": "0.01"}, model_id=orphan["id"])


percents = st.decimals(-100, 150, places=2).map(str)
margins = percents.filter(lambda percent: Decimal(percent) < 100)
over = st.sampled_from(["cheapest", "preferred", "dearest"])
ways = st.one_of(
    st.builds(lambda percent, of: {"target_margin": {"percent": percent, "over": of}}, margins, over),
    st.builds(lambda amount: {"set": {"output": amount}}, st.decimals(0, 100, places=4).map(str)),
)  # fmt: skip
rules = st.fixed_dictionaries(
    {"mode": st.sampled_from(["up", "down", "half_even"]), "to": st.sampled_from(["0.000001", "0.01", "0.05", "1"])}
)
filters = st.sampled_from([{}, {"state": "priced"}, {"state": "pending"}, {"margin": "negative", "over": "dearest"}])
units = st.sampled_from([["input"], ["input", "output"], ["image", "request"]])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ways, rules, filters, st.none() | units)
async def test_a_preview_is_exactly_what_then_happens(
    http: httpx.AsyncClient,
    by: dict[str, Any],
    rounding: dict[str, str],
    wanted: dict[str, str],
    only: list[str] | None,
) -> None:
    if not await charges(http):
        await world(http)
    body = {"by": by, "rounding": rounding, "filter": wanted, **({"units": only} if only else {})}
    before = await charges(http)

    preview = await adjusted(http, **body, preview=True)
    assert await charges(http) == before
    applied = await adjusted(http, **body)

    assert {**preview, "preview": False} == applied
    told = {each["model_id"]: each["after"] for each in applied["adjusted"]}
    assert await charges(http) == {**before, **told}


async def test_by_percent_with_rounding_tells_each_change(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_costed_model(http, {"input": "2"})
    await a_price(http, {"input": "2.345", "output": "7"}, model_id=model["id"])

    done = await adjusted(http, by={"percent": "10"}, rounding={"mode": "up", "to": "0.05"})

    [change] = done["adjusted"]
    assert (known(change["before"]), known(change["after"])) == (
        {"input": "2.345", "output": "7"},
        {"input": "2.6", "output": "7.7"},
    )
    assert change["margin_before"]["input"]["amount"] == "0.345"
    assert change["margin_after"]["input"]["amount"] == "0.6"
    assert [str(event.record.charge.input) for event in await told(PriceChanged)] == ["2.345", "2.6"]
    versions = (await shown(http, f"{PRICES}/{model['id']}/versions"))["items"]
    assert [each["version"] for each in versions] == [2, 1]


async def test_to_a_margin_prices_what_was_pending_over_the_chosen_source(http: httpx.AsyncClient) -> None:
    await a_costed_model(http, {"input": "2"}, {"input": "1"}, {"input": "4"})

    for over_, amount in (("cheapest", "1.25"), ("preferred", "2.5"), ("dearest", "5")):
        done = await adjusted(http, by={"target_margin": {"percent": "20", "over": over_}}, preview=True)
        [change] = done["adjusted"]
        assert (known(change["after"]), change["margin_after"]["input"]["percent"]) == ({"input": amount}, "20")


async def test_what_can_not_be_adjusted_is_reported_and_the_rest_is_done(http: httpx.AsyncClient) -> None:
    waiting, dynamic, unknown, priced = [
        await a_costed_model(http, cost) for cost in ({"input": "1"}, {"is_dynamic": True}, {}, {"input": "1"})
    ]
    await a_price(http, model_id=waiting["id"], valid_from=later(days=1))
    orphan = await a_model(http)
    await a_price(http, model_id=orphan["id"])

    done = await adjusted(http, by={"target_margin": {"percent": "50"}})

    skipped = {each["model_id"]: each["reason"] for each in done["skipped"]}
    assert skipped == {
        waiting["id"]: "price_overlap",
        dynamic["id"]: "no_source",
        unknown["id"]: "no_source",
        orphan["id"]: "no_source",
    }
    assert [each["model_id"] for each in done["adjusted"]] == [priced["id"]]
    assert (done["matched"], done["changed"], done["unchanged"]) == (5, 1, 0)
    assert (await adjusted(http, by={"percent": "0"}))["changed"] == 0


async def test_an_adjustment_may_wait_for_its_time(http: httpx.AsyncClient) -> None:
    model = await a_costed_model(http, {"input": "2"})
    await a_price(http, {"input": "1"}, model_id=model["id"])
    begins = later(days=1)
    body = {"by": {"percent": "100"}, "valid_from": begins}

    preview = await adjusted(http, **body, preview=True)
    assert (await shown(http, f"/api/v1/models/{model['id']}/prices"))["coming"] == []
    applied = await adjusted(http, **body)

    assert {**preview, "preview": False} == applied
    found = await shown(http, f"/api/v1/models/{model['id']}/prices")
    assert (known(found["in_force"]["prices"]), found["in_force"]["valid_until"]) == ({"input": "1"}, begins)
    assert [known(each["prices"]) for each in found["coming"]] == [{"input": "2"}]


async def test_an_adjustment_that_can_not_be_meant_is_refused(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    named = {"ids": [model["id"]]}
    for body, field in (
        ({**named, "filter": {}, "by": {"percent": "1"}}, ""),
        ({"by": {"percent": "1"}}, ""),
        ({**named, "by": {}}, "by"),
        ({**named, "by": {"percent": "1", "set": {"input": "1"}}}, "by"),
        ({**named, "by": {"set": {}}}, "by"),
        ({**named, "by": {"percent": "-100.5"}}, "by.percent"),
        ({**named, "by": {"target_margin": {"percent": "100"}}}, "by.target_margin.percent"),
        ({**named, "by": {"percent": "1"}, "rounding": {"to": "0"}}, "rounding.to"),
        ({**named, "by": {"percent": "1"}, "units": []}, "units"),
        ({**named, "by": {"percent": "1"}, "valid_from": "2020-01-01T00:00:00Z"}, "valid_from"),
        ({"ids": [str(uuid4())], "by": {"percent": "1"}}, "ids.0"),
    ):
        answer = await http.post(ADJUST, json=body)
        assert answer.status_code == 422, answer.text
        assert fields_of(answer)[0].startswith(field)


async def test_many_charges_are_adjusted_by_as_many_statements_as_some(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    ids = [new_id() for _ in range(2_000)]
    connection = await asyncpg.connect(database.superuser())
    try:
        await connection.executemany(
            """
            INSERT INTO catalog.models (
                id, name, aliases, display_name, model_type, is_active, is_available, since, provenance,
                created_at, updated_at
            ) VALUES ($1, $2, '{}', $2, 'language', true, true, now(), '{}', now(), now())
            """,
            [(each, f"vendor/{each}") for each in ids],
        )
    finally:
        await connection.close()

    async def statements_for(count: int) -> int:
        sent: list[str] = []
        alone = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
        event.listen(alone._engine.sync_engine, "before_cursor_execute", lambda *told: sent.append(told[2]))
        async with alone.transaction() as session:
            done = await adjust_prices(session, ids[:count], Adjustment(ByPercent(Decimal(10))), None, preview=False)
        await alone.close()
        assert len(done.adjusted) == count
        return len(sent)

    assert (await adjusted(http, by={"set": {"input": "1", "output": "2"}}))["changed"] == len(ids)
    # Both are many enough to be copied in, and not inserted.
    assert await statements_for(600) == await statements_for(2_000) < 20
