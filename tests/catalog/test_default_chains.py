import random
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx

from builders import a_model, a_source, a_supplier, shown
from catalog.labels import a_capability, put
from catalogs import Told
from modelbus.catalog.domain.default_chains import build
from modelbus.catalog.domain.offers import Offer
from modelbus.contracts.catalog import ChainChanged

CHAINS = "/api/v1/fallback-chains"


def an_offer(name: str, supplier: int, price: str | None = None, **fields: Any) -> Offer:
    offer = Offer(
        source_id=UUID(int=random.getrandbits(128)),
        upstream_name=name,
        priority=100,
        cost={} if price is None else {"input": price, "output": price},
        health="unknown",
        supplier_id=UUID(int=supplier),
        supplier_name=f"s{supplier}",
        model_id=UUID(bytes=name.encode().rjust(16)),
        model_name=name,
        model_type="language",
        lifecycle="active",
        is_featured=False,
        context_window=1000,
        capabilities=[],
        is_available=True,
        reason=None,
    )
    return replace(offer, **fields)


def steps_of(*offers: Offer) -> dict[str, list[str]]:
    names = {offer.model_id: offer.model_name for offer in offers}
    return {chain.name: [names[model_id] for model_id in chain.model_ids] for chain in build(offers)}


def test_the_cheapest_and_the_strongest_come_first_and_then_another_supplier() -> None:
    offers = [
        an_offer("cheap", 1, "1"),
        an_offer("nearly", 1, "2"),
        an_offer("middle", 2, "5"),
        an_offer("dear", 1, "20"),
        an_offer("dearer", 1, "30"),
    ]

    assert steps_of(*offers) == {
        "default/language/cheapest": ["cheap", "middle", "nearly"],
        "default/language/strongest": ["dearer", "middle", "dear"],
    }


def test_a_model_that_others_serve_too_counts_as_another_supplier() -> None:
    offers = [
        an_offer("first", 1, "1"),
        an_offer("second", 1, "2"),
        an_offer("both", 1, "3"),
        an_offer("both", 2, "9"),
    ]

    assert steps_of(*offers)["default/language/cheapest"] == ["first", "both", "second"]


def test_there_are_chains_for_each_type_and_for_each_capability_within_it() -> None:
    offers = [
        an_offer("plain", 1, "1"),
        an_offer("seeing", 2, "2", capabilities=["tools", "vision"]),
        an_offer("painting", 3, "3", model_type="image", capabilities=["vision"]),
    ]

    found = steps_of(*offers)

    assert [name for name in found if name.endswith("cheapest")] == [
        "default/image/cheapest",
        "default/image/vision/cheapest",
        "default/language/cheapest",
        "default/language/tools/cheapest",
        "default/language/vision/cheapest",
    ]
    assert found["default/language/vision/cheapest"] == ["seeing"]
    assert found["default/image/vision/strongest"] == ["painting"]
    assert found["default/language/cheapest"] == ["plain", "seeing"]


def test_featured_models_are_strongest_then_the_dearer_then_those_of_the_wider_context() -> None:
    offers = [
        an_offer("wide", 1, "1", context_window=9000),
        an_offer("narrow", 2, "1"),
        an_offer("dear", 3, "2"),
        an_offer("featured", 4, None, is_featured=True),
    ]

    assert steps_of(*offers)["default/language/strongest"] == ["featured", "dear", "wide"]
    assert steps_of(*offers[:2])["default/language/strongest"] == ["wide", "narrow"]


def test_what_nobody_knows_the_price_of_is_the_last_of_the_cheapest() -> None:
    offers = [an_offer("unknown", 1), an_offer("free", 2, "0"), an_offer("priced", 3, "9")]

    assert steps_of(*offers)["default/language/cheapest"] == ["free", "priced", "unknown"]


def test_vectors_of_different_models_do_not_mix() -> None:
    offers = [an_offer(f"e{number}", number, str(number), model_type="embedding") for number in (1, 2)]

    assert steps_of(*offers) == {"default/embedding/cheapest": ["e1"], "default/embedding/strongest": ["e2"]}


def test_what_is_away_or_on_its_way_out_is_not_built_upon() -> None:
    away = an_offer("away", 1, "1", is_available=False, reason="delisted")
    old = [an_offer(lifecycle, 2, "1", lifecycle=lifecycle) for lifecycle in ("deprecated", "retired")]

    assert build([away, *old]) == []


def test_the_same_offers_in_any_order_give_the_same_chains() -> None:
    offers = [
        an_offer(f"m{number}", number % 3, str(number % 4), capabilities=["vision"][: number % 2])
        for number in range(20)
    ]
    built = build(offers)

    for seed in range(5):
        shuffled = offers[:]
        random.Random(seed).shuffle(shuffled)
        assert build(shuffled) == built


async def a_priced_model(http: httpx.AsyncClient, name: str, price: str) -> dict[str, Any]:
    model, supplier = await a_model(http, name=name), await a_supplier(http)
    await a_source(http, model["id"], supplier["id"], cost={"input": price, "output": price})
    return model


async def built(http: httpx.AsyncClient, **params: Any) -> dict[str, tuple[str, list[str]]]:
    answer = await http.post(f"{CHAINS}/default", params=params)
    assert answer.status_code == 200, answer.text
    return {chain["name"]: (chain["outcome"], chain["model_ids"]) for chain in answer.json()["chains"]}


async def steps(http: httpx.AsyncClient, name: str) -> list[str]:
    [chain] = (await shown(http, f"{CHAINS}?name={name}"))["items"]
    return [step["model_id"] for step in chain["steps"]]


CHEAPEST, STRONGEST = "default/language/cheapest", "default/language/strongest"


async def test_a_dry_run_tells_what_building_then_does(http: httpx.AsyncClient, told: Told) -> None:
    cheap, dear = await a_priced_model(http, "vendor/cheap", "1"), await a_priced_model(http, "vendor/dear", "9")
    vision = await a_capability(http, name="vision")
    await put(http, f"/api/v1/models/{dear['id']}/capabilities/{vision['id']}", {})

    planned = await built(http, dry_run=True)
    nothing = (await shown(http, CHAINS))["items"]
    done = await built(http)

    assert planned == done
    assert nothing == []
    assert done[CHEAPEST] == ("created", [cheap["id"], dear["id"]])
    assert done["default/language/vision/strongest"] == ("created", [dear["id"]])
    chains = (await shown(http, CHAINS))["items"]
    assert {chain["name"]: chain["origin"] for chain in chains} == dict.fromkeys(done, "default")
    assert len(await told(ChainChanged)) == len(done) == 4


async def test_building_again_brings_the_same_chains_up_to_date(http: httpx.AsyncClient, told: Told) -> None:
    dear = await a_priced_model(http, "vendor/dear", "9")
    await built(http)
    [before] = (await shown(http, f"{CHAINS}?name={CHEAPEST}"))["items"]

    same = await built(http)
    cheap = await a_priced_model(http, "vendor/cheap", "1")
    changed = await built(http)

    [after] = (await shown(http, f"{CHAINS}?name={CHEAPEST}"))["items"]
    assert same[CHEAPEST][0] == "unchanged"
    assert changed[CHEAPEST] == ("changed", [cheap["id"], dear["id"]])
    assert (after["id"], after["version"], after["origin"]) == (before["id"], 2, "default")
    assert after["steps"][1]["id"] == before["steps"][0]["id"]
    assert len(await told(ChainChanged)) == 4


async def test_chains_that_somebody_has_decided_on_are_left_alone(http: httpx.AsyncClient) -> None:
    first = await a_priced_model(http, "vendor/first", "5")
    await http.post(CHAINS, json={"name": STRONGEST, "steps": [{"model_id": first["id"]}]})
    await built(http)
    [cheapest] = (await shown(http, f"{CHAINS}?name={CHEAPEST}"))["items"]
    triggers = {"steps": [{"model_id": first["id"], "triggers": ["timeout"]}]}
    await http.patch(f"{CHAINS}/{cheapest['id']}", json=triggers)
    await a_priced_model(http, "vendor/second", "1")

    again = await built(http)

    assert {name: outcome for name, (outcome, _) in again.items()} == {CHEAPEST: "kept", STRONGEST: "kept"}
    assert (await steps(http, CHEAPEST), await steps(http, STRONGEST)) == ([first["id"]], [first["id"]])


async def test_a_default_chain_that_was_only_disabled_or_described_is_still_brought_up_to_date(
    http: httpx.AsyncClient,
) -> None:
    await a_priced_model(http, "vendor/first", "5")
    await built(http)
    [chain] = (await shown(http, f"{CHAINS}?name={CHEAPEST}"))["items"]
    await http.patch(f"{CHAINS}/{chain['id']}", json={"description": "ours", "is_active": False})
    second = await a_priced_model(http, "vendor/second", "1")

    outcome, model_ids = (await built(http))[CHEAPEST]

    assert (outcome, model_ids[0]) == ("changed", second["id"])
    after = await shown(http, f"{CHAINS}/{chain['id']}")
    assert (after["description"], after["is_active"]) == ("ours", False)


async def test_a_default_chain_that_nothing_fills_any_more_is_left_and_said(http: httpx.AsyncClient) -> None:
    model = await a_priced_model(http, "vendor/only", "5")
    await built(http)
    await http.post(f"/api/v1/models/{model['id']}/disable", params={"force": True})

    again = await built(http)

    assert again == {CHEAPEST: ("left", [model["id"]]), STRONGEST: ("left", [model["id"]])}


async def test_a_name_that_a_model_or_a_split_has_is_not_taken_from_it(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_priced_model(http, CHEAPEST, "1")
    arms = [{"name": "a", "model_id": model["id"], "weight": 1}]
    assert (await http.post("/api/v1/splits", json={"name": STRONGEST, "arms": arms})).status_code == 201

    found = await built(http)

    assert {name: outcome for name, (outcome, _) in found.items()} == dict.fromkeys((CHEAPEST, STRONGEST), "name_taken")
    assert await told(ChainChanged) == []
