from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.catalog.domain.offers import Offer
from modelbus.catalog.domain.strategies import Criterion, LeftOut, Strategy, rank
from modelbus.contracts.catalog import StrategyChanged

STRATEGIES = "/api/v1/cost-strategies"


async def a_strategy(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post(STRATEGIES, json={"name": "balanced", "cost_weight": 1, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def a_priced_model(http: httpx.AsyncClient, name: str, price: str, **fields: Any) -> tuple[str, str]:
    """Make a model that costs as much to read as to write; answer its id and that of its source."""
    model, supplier = await a_model(http, name=name, **fields), await a_supplier(http)
    source = await a_source(http, model["id"], supplier["id"], cost={"input": price, "output": price})
    return model["id"], source["id"]


async def test_a_new_strategy_is_shown_and_told_whole(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    fields = {
        "name": "cheap and quick",
        "description": "for chats",
        "is_active": False,
        "cost_weight": 2.5,
        "latency_weight": 1.0,
        "success_weight": 0.0,
        "quality_weight": 0.5,
        "max_input_price": "0.25",
        "max_output_price": None,
        "max_latency_ms": 800,
        "model_ids": [model["id"]],
    }

    strategy = await a_strategy(http, **fields)

    assert {name: strategy[name] for name in fields} == fields
    assert (await told(StrategyChanged))[0].model_dump(mode="json")["record"] == {"id": strategy["id"], **fields}
    assert await shown(http, f"{STRATEGIES}/{strategy['id']}") == strategy


async def test_prices_are_written_in_one_way_however_they_were_given(http: httpx.AsyncClient, told: Told) -> None:
    strategy = await a_strategy(http, max_input_price="1E+2", max_output_price="0.500")

    assert (strategy["max_input_price"], strategy["max_output_price"]) == ("100", "0.5")
    event = (await told(StrategyChanged))[0].record.model_dump_json()
    assert event in (await http.get("/api/v1/snapshot?kinds=strategy")).text


async def test_put_sets_every_field_and_patch_only_those_given(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    strategy = await a_strategy(http, model_ids=[model["id"]], max_latency_ms=5)
    path = f"{STRATEGIES}/{strategy['id']}"

    patched = (await http.patch(path, json={"quality_weight": 3, "max_latency_ms": None})).json()
    same = (await http.patch(path, json={"quality_weight": 3})).json()
    put = (await http.put(path, json={"name": "whole", "latency_weight": 1})).json()

    assert patched == {
        **strategy,
        "quality_weight": 3,
        "max_latency_ms": None,
        "version": 2,
        "updated_at": patched["updated_at"],
    }
    assert same == patched
    assert (put["name"], put["cost_weight"], put["latency_weight"], put["model_ids"]) == ("whole", 0, 1, None)
    assert len(await told(StrategyChanged)) == 3


async def test_a_strategy_that_weighs_nothing_is_refused_whichever_weight_went_last(http: httpx.AsyncClient) -> None:
    strategy = await a_strategy(http)
    path = f"{STRATEGIES}/{strategy['id']}"

    answers = [
        await http.post(STRATEGIES, json={"name": "nothing"}),
        await http.patch(path, json={"cost_weight": 0}),
        await http.put(path, json={"name": "nothing", "cost_weight": 0}),
    ]

    assert [(answer.status_code, answer.json()["code"], fields_of(answer)) for answer in answers] == [
        (422, "no_weight", ["cost_weight"])
    ] * 3
    assert await shown(http, path) == strategy


ID = str(uuid4())
BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour"),
    ({"name": None}, "name"),
    ({"name": " "}, "name"),
    ({"cost_weight": -0.1}, "cost_weight"),
    ({"cost_weight": 1e9}, "cost_weight"),
    ({"latency_weight": "much"}, "latency_weight"),
    ({"success_weight": None}, "success_weight"),
    ({"max_input_price": "-1"}, "max_input_price"),
    ({"max_input_price": "NaN"}, "max_input_price"),
    ({"max_input_price": "1e30"}, "max_input_price"),
    ({"max_output_price": "0.0000000001"}, "max_output_price"),
    ({"max_latency_ms": 0}, "max_latency_ms"),
    ({"max_latency_ms": 3_600_001}, "max_latency_ms"),
    ({"model_ids": []}, "model_ids"),
    ({"model_ids": [ID, ID]}, "model_ids"),
    ({"model_ids": ["gpt-4o"]}, "model_ids.0"),
]


async def test_bad_input_is_refused_by_its_field_and_changes_nothing(http: httpx.AsyncClient, told: Told) -> None:
    strategy = await a_strategy(http)

    for change, field in BAD_INPUT:
        answers = [
            await http.post(STRATEGIES, json={"name": "another", "cost_weight": 1, **change}),
            await http.put(f"{STRATEGIES}/{strategy['id']}", json={"name": "another", "cost_weight": 1, **change}),
            await http.patch(f"{STRATEGIES}/{strategy['id']}", json=change),
        ]
        for answer in answers:
            assert (answer.status_code, fields_of(answer)) == (422, [field]), change
    dangling = await http.patch(f"{STRATEGIES}/{strategy['id']}", json={"model_ids": [ID]})

    assert (dangling.json()["code"], fields_of(dangling)) == ("dangling_reference", ["model_ids.0"])
    assert await shown(http, STRATEGIES) == {"items": [strategy], "next_cursor": None}
    assert len(await told(StrategyChanged)) == 1


async def test_a_name_is_one_strategys_while_it_lives(http: httpx.AsyncClient, told: Told) -> None:
    strategy = await a_strategy(http)
    other = await a_strategy(http, name="other")

    taken = [
        await http.post(STRATEGIES, json={"name": "balanced", "cost_weight": 1}),
        await http.patch(f"{STRATEGIES}/{other['id']}", json={"name": "balanced"}),
    ]
    deleted = await http.delete(f"{STRATEGIES}/{strategy['id']}")

    assert [(answer.status_code, answer.json()["code"]) for answer in taken] == [(409, "already_exists")] * 2
    assert (deleted.status_code, (await told(StrategyChanged))[-1].deleted) == (204, True)
    assert (await http.get(f"{STRATEGIES}/{strategy['id']}")).status_code == 404
    assert (await a_strategy(http))["name"] == "balanced"


async def test_stale_models_and_caps_that_let_nothing_through_are_warned_of(http: httpx.AsyncClient) -> None:
    model_id, _ = await a_priced_model(http, "vendor/dear", "10")
    stale = await a_model(http)

    strategy = await a_strategy(http, model_ids=[model_id, stale["id"]], max_input_price="9.99")

    path = f"{STRATEGIES}/{strategy['id']}"
    assert [(warning["field"], warning["code"]) for warning in strategy["warnings"]] == [
        ("model_ids.1", "not_available"),
        ("max_input_price", "no_candidate"),
    ]
    assert len((await http.patch(path, json={"max_input_price": "10"})).json()["warnings"]) == 1
    assert len((await http.patch(path, json={"max_output_price": "1"})).json()["warnings"]) == 2
    assert (await http.patch(path, json={"model_ids": None, "max_output_price": None})).json()["warnings"] == []
    dynamic, supplier = await a_model(http), await a_supplier(http)
    await a_source(http, dynamic["id"], supplier["id"], cost={"input": "1", "output": "1", "is_dynamic": True})
    only = (await http.patch(path, json={"model_ids": [dynamic["id"]]})).json()["warnings"]
    assert [warning["code"] for warning in only] == ["no_candidate"]


async def test_strategies_are_filtered_by_what_they_refer_to_and_how_they_stand(http: httpx.AsyncClient) -> None:
    served, stale = await a_served_model(http), await a_model(http)
    await a_strategy(http, name="any")
    await a_strategy(http, name="fit", model_ids=[served["id"]])
    await a_strategy(http, name="stale", model_ids=[served["id"], stale["id"]], is_active=False)

    async def names(query: str) -> list[str]:
        return [strategy["name"] for strategy in (await shown(http, f"{STRATEGIES}?{query}"))["items"]]

    assert await names(f"model_id={served['id']}") == ["fit", "stale"]
    assert await names("has_stale=true") == ["stale"]
    assert await names("has_stale=false&sort=-name") == ["fit", "any"]
    assert await names("is_active=false") == ["stale"]
    assert await names("search=ST") == ["stale"]


async def test_candidates_are_ranked_and_what_is_left_out_says_why(http: httpx.AsyncClient) -> None:
    cheap, cheap_source = await a_priced_model(http, "vendor/cheap", "1")
    middle, middle_source = await a_priced_model(http, "vendor/middle", "2")
    dear, _ = await a_priced_model(http, "vendor/dear", "10")
    out, _ = await a_priced_model(http, "vendor/out", "1")
    unknown = await a_served_model(http, name="vendor/unknown")
    await http.post(f"/api/v1/models/{out}/disable")
    await a_priced_model(http, "vendor/embedding", "1", model_type="embedding")
    strategy = await a_strategy(http, max_input_price="5")

    path = f"{STRATEGIES}/{strategy['id']}/candidates"
    found = await shown(http, f"{path}?model_type=language")

    assert [(each["model_id"], each["source_id"]) for each in found["candidates"]] == [
        (cheap, cheap_source),
        (middle, middle_source),
    ]
    assert found["candidates"][0]["score"] > found["candidates"][1]["score"] > 0
    assert {each["model_id"]: each["reason"] for each in found["left_out"]} == {
        dear: "input_price_above_cap",
        out: "disabled",
        unknown["id"]: "price_unknown",
    }
    assert found["not_weighed"] == ["latency"]
    few = await shown(http, f"{path}?limit=1")
    assert (len(few["candidates"]), few["candidate_count"], len(few["left_out"]), few["left_out_count"]) == (1, 3, 1, 3)


async def test_candidates_are_those_of_the_strategys_models_alone(http: httpx.AsyncClient) -> None:
    inside, _ = await a_priced_model(http, "vendor/inside", "1")
    await a_priced_model(http, "vendor/outside", "1")
    strategy = await a_strategy(http, model_ids=[inside])

    found = await shown(http, f"{STRATEGIES}/{strategy['id']}/candidates")

    assert [each["model_id"] for each in found["candidates"]] == [inside]
    assert found["left_out"] == []


NOW = datetime(2030, 1, 1, tzinfo=UTC)
COST_ALONE = Strategy(
    id=UUID(int=1),
    name="cost",
    description=None,
    is_active=True,
    cost_weight=1,
    latency_weight=0,
    success_weight=0,
    quality_weight=0,
    max_input_price=None,
    max_output_price=None,
    max_latency_ms=None,
    created_at=NOW,
    updated_at=NOW,
    deleted_at=None,
    model_ids=None,
)


def an_offer(number: int, price: str | None, **fields: Any) -> Offer:
    offer = Offer(
        source_id=UUID(int=number),
        upstream_name=f"u{number}",
        priority=100,
        cost={} if price is None else {"input": price, "output": price},
        health="unknown",
        supplier_id=UUID(int=100 + number),
        supplier_name=f"s{number}",
        model_id=UUID(int=200 + number),
        model_name=f"m{number}",
        model_type="language",
        lifecycle="active",
        is_featured=False,
        context_window=1000,
        capabilities=[],
        is_available=True,
        reason=None,
    )
    return replace(offer, **fields)


def order(strategy: Strategy, *offers: Offer) -> list[int]:
    return [candidate.offer.source_id.int for candidate in rank(strategy, offers).candidates]


def test_half_the_price_scores_twice_as_much_and_an_unknown_price_nothing() -> None:
    ranking = rank(COST_ALONE, [an_offer(1, "10"), an_offer(2, "5"), an_offer(3, None), an_offer(4, "0")])

    assert order(COST_ALONE, an_offer(1, "10"), an_offer(2, "5"), an_offer(4, "0"), an_offer(3, None)) == [4, 2, 1, 3]
    scores = {each.offer.source_id.int: each.score for each in ranking.candidates}
    assert scores[4] == 1
    assert scores[3] == 0
    assert scores[2] / scores[1] > 1.9


def test_health_decides_on_success_and_price_on_quality() -> None:
    offers = [an_offer(1, "1", health="degraded"), an_offer(2, "2", health="healthy"), an_offer(3, "3", health="down")]
    success = replace(COST_ALONE, cost_weight=0, success_weight=1)
    quality = replace(COST_ALONE, cost_weight=0, quality_weight=1)

    assert order(success, *offers) == [2, 1, 3]
    assert order(quality, *offers) == [3, 2, 1]
    assert order(quality, *offers, an_offer(4, "0", is_featured=True)) == [4, 3, 2, 1]


def test_an_aggregators_surcharge_makes_a_model_no_stronger() -> None:
    quality = replace(COST_ALONE, cost_weight=0, quality_weight=1)
    plain, surcharged = an_offer(1, "1"), an_offer(2, "9", model_id=UUID(int=201))

    assert order(quality, plain, surcharged, an_offer(3, "2"))[0] == 3


def test_proportions_of_weights_are_all_that_matters() -> None:
    offers = [an_offer(number, str(number), health=health) for number, health in enumerate(("down", "healthy"), 1)]
    one = replace(COST_ALONE, success_weight=2)
    tenfold = replace(COST_ALONE, cost_weight=10, success_weight=20)

    assert [each.score for each in rank(one, offers).candidates] == [
        each.score for each in rank(tenfold, offers).candidates
    ]
    assert order(one, *offers) == [2, 1]


def test_latency_alone_ranks_nothing_here_and_priority_decides() -> None:
    latency = replace(COST_ALONE, cost_weight=0, latency_weight=1)

    assert order(latency, an_offer(1, "1"), an_offer(2, "5", priority=1)) == [2, 1]
    assert Criterion.LATENCY not in rank(latency, [an_offer(1, "1")]).candidates[0].scores


def test_caps_leave_out_what_costs_more_or_nobody_knows_how_much() -> None:
    capped = replace(COST_ALONE, max_input_price=Decimal(5), max_output_price=Decimal(20))
    dynamic = an_offer(4, "1", cost={"input": "1", "output": "1", "is_dynamic": True})
    dear_output = an_offer(5, None, cost={"input": "1", "output": "21"})

    ranking = rank(capped, [an_offer(1, "5"), an_offer(2, "5.01"), an_offer(3, None), dynamic, dear_output])

    assert [each.offer.source_id.int for each in ranking.candidates] == [1]
    assert {offer.source_id.int: reason for offer, reason in ranking.left_out} == {
        2: LeftOut.INPUT_PRICE,
        3: LeftOut.PRICE_UNKNOWN,
        4: LeftOut.PRICE_UNKNOWN,
        5: LeftOut.OUTPUT_PRICE,
    }
