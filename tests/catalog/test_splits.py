"""Splits over REST: what is shown and told of them, and what is refused; what all holders share is tested with them."""

from typing import Any
from uuid import uuid4

import httpx

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import SplitChanged

SPLITS = "/api/v1/splits"
FORCED = {"force": "true"}


def an_arm(model: dict[str, Any], name: str = "a", weight: int = 1, **fields: Any) -> dict[str, Any]:
    return {"name": name, "model_id": model["id"], "weight": weight, **fields}


async def a_split(http: httpx.AsyncClient, *arms: dict[str, Any], **fields: Any) -> dict[str, Any]:
    answer = await http.post(SPLITS, json={"name": "canary", "arms": arms, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_new_split_shows_and_tells_its_arms_and_shadows_in_the_order_given(
    http: httpx.AsyncClient, told: Told
) -> None:
    one, other = await a_served_model(http), await a_served_model(http)
    source = await a_source(http, other["id"], (await a_supplier(http))["id"])
    shadow = {"name": "s", "model_id": other["id"], "percent": 2.5}

    split = await a_split(
        http,
        an_arm(other, "new", 5, source_id=source["id"]),
        an_arm(one, "old", 95),
        shadows=[shadow],
        sticky_by="header:X-User-Id",
    )

    standing = {"is_available": True, "reason": None}
    assert split["arms"] == [
        {**an_arm(other, "new", 5), "source_id": source["id"], "model_name": other["name"], **standing},
        {**an_arm(one, "old", 95), "source_id": None, "model_name": one["name"], **standing},
    ]
    assert split["shadows"] == [{**shadow, "source_id": None, "model_name": other["name"], **standing}]
    assert (split["sticky_by"], split["is_active"], split["warnings"]) == ("header:x-user-id", True, [])
    assert await shown(http, f"{SPLITS}/{split['id']}") == split
    [event] = await told(SplitChanged)
    assert event.model_dump(mode="json")["record"] == {
        "id": split["id"],
        "name": "canary",
        "is_active": True,
        "sticky_by": "header:x-user-id",
        "arms": [{**an_arm(other, "new", 5), "source_id": source["id"]}, {**an_arm(one, "old", 95), "source_id": None}],
        "shadows": [{**shadow, "source_id": None}],
        "description": None,
    }


async def test_put_sets_every_field_and_patch_only_those_given(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    shadows = [{"name": "s", "model_id": model["id"], "percent": 100}]
    split = await a_split(http, an_arm(model), shadows=shadows, sticky_by="user", description="old")
    path = f"{SPLITS}/{split['id']}"

    patched = (await http.patch(path, json={"arms": [an_arm(model, "b", 7)], "is_active": False})).json()
    same = (await http.patch(path, json={"arms": [an_arm(model, "b", 7)]})).json()
    put = (await http.put(path, json={"name": "whole", "arms": [an_arm(model)]})).json()

    assert (patched["sticky_by"], patched["description"], patched["shadows"]) == ("user", "old", split["shadows"])
    assert [(arm["name"], arm["weight"]) for arm in patched["arms"]] == [("b", 7)]
    assert same == patched
    assert (put["name"], put["description"], put["sticky_by"], put["shadows"]) == ("whole", None, "none", [])
    assert [(event.record.is_active, len(event.record.shadows)) for event in await told(SplitChanged)] == [
        (True, 1),
        (False, 1),
        (True, 0),
    ]


NO_SPLITS: list[tuple[dict[str, Any], str]] = [
    ({"arms": []}, "arms"),
    ({"arms": [{"name": "a", "weight": -1}]}, "arms.0.weight"),
    ({"arms": [{"name": "a", "weight": 1_000_001}]}, "arms.0.weight"),
    ({"arms": [{"name": "a", "weight": 0}]}, "arms.0.weight"),
    ({"arms": [{"name": "a b", "weight": 1}]}, "arms.0.name"),
    ({"arms": [{"name": name, "weight": 1} for name in "aba"]}, "arms.2.name"),
    ({"arms": [{"name": "a", "weight": 1, "source_id": str(uuid4())}]}, "arms.0.source_id"),
    ({"shadows": [{"name": "a", "percent": 1}]}, "shadows.0.name"),
    ({"shadows": [{"name": "s", "percent": 0}]}, "shadows.0.percent"),
    ({"shadows": [{"name": "s", "percent": 100.5}]}, "shadows.0.percent"),
    ({"shadows": [{"name": "s", "percent": 1, "model_id": str(uuid4())}]}, "shadows.0.model_id"),
    ({"sticky_by": "header:"}, "sticky_by"),
    ({"sticky_by": "header:x y"}, "sticky_by"),
    ({"sticky_by": "cookie"}, "sticky_by"),
]


async def test_what_no_split_can_be_made_of_is_refused_with_the_field(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_model(http)
    of_model = {"model_id": model["id"]}

    for wrong, field in NO_SPLITS:
        variants = {name: [of_model | each for each in wrong[name]] for name in ("arms", "shadows") if name in wrong}
        answer = await http.post(SPLITS, json={"name": "canary", "arms": [an_arm(model)], **wrong, **variants})
        assert (answer.status_code, fields_of(answer)) == (422, [field]), wrong

    assert await told(SplitChanged) == []


async def test_a_source_of_another_model_is_refused(http: httpx.AsyncClient) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    wrong = await a_source(http, other["id"], (await a_supplier(http))["id"])

    answer = await http.post(SPLITS, json={"name": "canary", "arms": [an_arm(model, source_id=wrong["id"])]})

    assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (
        422,
        "wrong_source",
        ["arms.0.source_id"],
    )


async def test_names_are_one_space_with_models_aliases_and_chains(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http, aliases=["an-alias"])
    chain = {"name": "a-chain", "steps": [{"model_id": model["id"]}]}
    assert (await http.post("/api/v1/fallback-chains", json=chain)).status_code == 201
    await a_split(http, an_arm(model), name="a-split")

    splits = [
        await http.post(SPLITS, json={"name": name, "arms": [an_arm(model)]})
        for name in (model["name"], "an-alias", "a-chain", "a-split")
    ]
    others = [
        await http.post("/api/v1/fallback-chains", json={**chain, "name": "a-split"}),
        await http.post("/api/v1/models", json={"name": "vendor/another", "aliases": ["a-split"]}),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in (*splits, *others)] == [
        (409, "already_exists")
    ] * 6


async def test_arms_and_shadows_that_could_not_serve_are_warned_of(http: httpx.AsyncClient) -> None:
    served, away = await a_served_model(http), await a_model(http)
    source = await a_source(http, served["id"], (await a_supplier(http))["id"])
    shadows = [{"name": "s", "model_id": away["id"], "percent": 1}]

    split = await a_split(http, an_arm(served, source_id=source["id"]), an_arm(away, "b"), shadows=shadows)
    await http.post(f"/api/v1/sources/{source['id']}/disable", params=FORCED)
    after = await shown(http, f"{SPLITS}/{split['id']}")

    assert [each["field"] for each in split["warnings"]] == ["arms.1.model_id", "shadows.0.model_id"]
    assert [(each["field"], each["code"]) for each in after["warnings"]] == [
        ("arms.0.source_id", "not_available"),
        ("arms.1.model_id", "not_available"),
        ("shadows.0.model_id", "not_available"),
        ("arms", "nothing_available"),
    ]
    for query, found in (("has_stale=true", 1), ("has_stale=false", 0), (f"model_id={away['id']}", 1)):
        assert len((await shown(http, f"{SPLITS}?{query}"))["items"]) == found, query


async def test_a_model_that_goes_is_replaced_in_arms_and_shadows_with_their_names_and_shares(
    http: httpx.AsyncClient,
) -> None:
    goes, stays = await a_served_model(http), await a_served_model(http)
    source = await a_source(http, goes["id"], (await a_supplier(http))["id"])
    shadows = [{"name": "s", "model_id": goes["id"], "percent": 3}]
    split = await a_split(http, an_arm(goes, "a", 9, source_id=source["id"]), an_arm(stays, "b", 1), shadows=shadows)

    answer = await http.delete(f"/api/v1/models/{goes['id']}", params={"replace_with": stays["id"]})

    after = await shown(http, f"{SPLITS}/{split['id']}")
    assert answer.status_code == 204
    assert [(each["name"], each["model_id"], each["source_id"], each["weight"]) for each in after["arms"]] == [
        ("a", stays["id"], None, 9),
        ("b", stays["id"], None, 1),
    ]
    assert [(each["model_id"], each["percent"]) for each in after["shadows"]] == [(stays["id"], 3)]
    assert after["version"] == 2


async def test_the_only_arm_of_a_split_keeps_its_model_from_going(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    await a_split(http, an_arm(model, "only"))

    answer = await http.post(f"/api/v1/models/{model['id']}/disable")

    assert [(each["severity"], each["message"]) for each in answer.json()["findings"]] == [
        ("dead", "split 'canary', arm 'only' (dead)")
    ]


async def test_a_deleted_split_is_told_and_its_name_is_free(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    split = await a_split(http, an_arm(model))
    path = f"{SPLITS}/{split['id']}"

    stale = await http.delete(path, headers={"If-Match": '"2"'})
    gone = await http.delete(path)
    await a_split(http, an_arm(model))

    assert (stale.status_code, gone.status_code) == (412, 204)
    assert (await http.get(path)).status_code == 404
    assert [event.deleted for event in await told(SplitChanged)] == [False, True, False]
