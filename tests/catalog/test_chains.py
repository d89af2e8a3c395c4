from typing import Any
from uuid import uuid4

import httpx
import pytest

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import ChainChanged

CHAINS = "/api/v1/fallback-chains"


async def a_chain(http: httpx.AsyncClient, *models: dict[str, Any], **fields: Any) -> dict[str, Any]:
    steps = [{"model_id": model["id"]} for model in models or [await a_model(http)]]
    answer = await http.post(CHAINS, json={"name": "smart", "steps": steps, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_new_chain_shows_its_steps_in_order_and_whether_each_could_serve(
    http: httpx.AsyncClient, told: Told
) -> None:
    served, unserved = await a_served_model(http), await a_model(http)

    chain = await a_chain(http, unserved, served, name="Vendor/smart:v1.0-x_y", description="two steps")

    assert (chain["name"], chain["description"], chain["is_active"]) == ("Vendor/smart:v1.0-x_y", "two steps", True)
    first, second = chain["steps"]
    assert first == {
        "id": first["id"],
        "position": 0,
        "model_id": unserved["id"],
        "model_name": unserved["name"],
        "source_id": None,
        "is_available": False,
        "reason": "no_source",
    }
    assert (second["position"], second["model_id"], second["is_available"], second["reason"]) == (
        1,
        served["id"],
        True,
        None,
    )
    assert await shown(http, f"{CHAINS}/{chain['id']}") == chain
    assert await shown(http, f"{CHAINS}/{chain['id']}/steps") == {"items": chain["steps"], "next_cursor": None}
    [event] = await told(ChainChanged)
    assert event.model_dump(mode="json")["record"] == {
        "id": chain["id"],
        "name": "Vendor/smart:v1.0-x_y",
        "is_active": True,
        "steps": [{"id": step["id"], "model_id": step["model_id"], "source_id": None} for step in chain["steps"]],
    }


async def test_a_step_with_an_exact_source_stands_and_falls_with_that_source_and_its_model(
    http: httpx.AsyncClient,
) -> None:
    model = await a_served_model(http)
    source = await a_source(http, model["id"], (await a_supplier(http))["id"])
    by_source = {"model_id": model["id"], "source_id": source["id"]}
    chain = await a_chain(http, steps=[{"model_id": model["id"]}, by_source])

    async def standing() -> list[tuple[bool, str | None]]:
        steps = (await shown(http, f"{CHAINS}/{chain['id']}"))["steps"]
        return [(step["is_available"], step["reason"]) for step in steps]

    assert chain["steps"][1]["source_id"] == source["id"]
    assert await standing() == [(True, None), (True, None)]
    await http.post(f"/api/v1/sources/{source['id']}/disable")
    assert await standing() == [(True, None), (False, "disabled")]
    await http.post(f"/api/v1/sources/{source['id']}/enable")
    await http.post(f"/api/v1/models/{model['id']}/disable")
    assert await standing() == [(False, "disabled"), (False, "disabled")]


async def test_steps_that_are_replaced_keep_the_ids_of_the_targets_that_stay(
    http: httpx.AsyncClient, told: Told
) -> None:
    stays, goes, comes = [await a_model(http) for _ in range(3)]
    chain = await a_chain(http, stays, goes)

    answer = await http.patch(
        f"{CHAINS}/{chain['id']}", json={"steps": [{"model_id": comes["id"]}, {"model_id": stays["id"]}]}
    )

    new, kept = answer.json()["steps"]
    assert (new["model_id"], kept["model_id"]) == (comes["id"], stays["id"])
    assert kept["id"] == chain["steps"][0]["id"]
    assert new["id"] not in {step["id"] for step in chain["steps"]}
    assert [str(step.id) for step in (await told(ChainChanged))[-1].record.steps] == [new["id"], kept["id"]]


async def test_a_step_whose_source_changes_is_another_step(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    source = await a_source(http, model["id"], (await a_supplier(http))["id"])
    chain = await a_chain(http, model)
    steps = [{"model_id": model["id"], "source_id": source["id"]}]

    answer = await http.patch(f"{CHAINS}/{chain['id']}", json={"steps": steps})

    assert answer.json()["steps"][0]["id"] != chain["steps"][0]["id"]


async def test_put_sets_every_field_and_patch_only_those_given(http: httpx.AsyncClient) -> None:
    first, second = await a_model(http), await a_model(http)
    chain = await a_chain(http, first, description="old")

    patched = (await http.patch(f"{CHAINS}/{chain['id']}", json={"is_active": False, "name": "renamed"})).json()
    put = (
        await http.put(f"{CHAINS}/{chain['id']}", json={"name": "whole", "steps": [{"model_id": second["id"]}]})
    ).json()

    assert (patched["name"], patched["description"], patched["is_active"]) == ("renamed", "old", False)
    assert patched["steps"] == chain["steps"]
    assert patched["updated_at"] > chain["updated_at"]
    assert (put["name"], put["description"], put["is_active"]) == ("whole", None, True)
    assert [step["model_id"] for step in put["steps"]] == [second["id"]]


async def test_reordering_moves_the_steps_and_tells_it_once(http: httpx.AsyncClient, told: Told) -> None:
    chain = await a_chain(http, *[await a_model(http) for _ in range(3)])
    order = [chain["steps"][index]["id"] for index in (2, 0, 1)]

    answer = await http.post(f"{CHAINS}/{chain['id']}/reorder", json={"step_ids": order})

    assert [(step["id"], step["position"]) for step in answer.json()["steps"]] == [*zip(order, range(3), strict=True)]
    assert await shown(http, f"{CHAINS}/{chain['id']}") == answer.json()
    assert [len(await told(ChainChanged)), [str(step.id) for step in (await told(ChainChanged))[-1].record.steps]] == [
        2,
        order,
    ]


@pytest.mark.parametrize("wrong", ["one left out", "one more", "one twice", "none"])
async def test_an_order_of_other_steps_than_the_chain_has_is_refused(
    http: httpx.AsyncClient, told: Told, wrong: str
) -> None:
    chain = await a_chain(http, await a_model(http), await a_model(http))
    first, second = [step["id"] for step in chain["steps"]]
    order = {
        "one left out": [first],
        "one more": [second, first, str(uuid4())],
        "one twice": [first, first],
        "none": [],
    }[wrong]

    answer = await http.post(f"{CHAINS}/{chain['id']}/reorder", json={"step_ids": order})

    assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "wrong_steps", ["step_ids"])
    assert await shown(http, f"{CHAINS}/{chain['id']}") == chain
    assert len(await told(ChainChanged)) == 1


async def test_a_change_that_changes_nothing_tells_nothing(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_model(http)
    chain = await a_chain(http, model)
    path = f"{CHAINS}/{chain['id']}"

    answers = [
        await http.patch(path, json={"name": "smart", "steps": [{"model_id": model["id"]}]}),
        await http.patch(path, json={}),
        await http.put(path, json={"name": "smart", "steps": [{"model_id": model["id"]}]}),
        await http.post(f"{path}/enable"),
        await http.post(f"{path}/reorder", json={"step_ids": [chain["steps"][0]["id"]]}),
    ]

    assert [answer.json() for answer in answers] == [chain] * len(answers)
    assert len(await told(ChainChanged)) == 1


async def test_disabling_and_enabling_is_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    chain = await a_chain(http)

    disabled = await http.post(f"{CHAINS}/{chain['id']}/disable")
    enabled = await http.post(f"{CHAINS}/{chain['id']}/enable")

    assert (disabled.json()["is_active"], enabled.json()["is_active"]) == (False, True)
    assert [event.record.is_active for event in await told(ChainChanged)] == [True, False, True]
    assert (await told(ChainChanged))[1].record.steps == (await told(ChainChanged))[0].record.steps


async def test_a_deleted_chain_is_gone_and_its_name_free(http: httpx.AsyncClient, told: Told) -> None:
    chain = await a_chain(http)

    answer = await http.delete(f"{CHAINS}/{chain['id']}")

    assert answer.status_code == 204
    assert [event.deleted for event in await told(ChainChanged)] == [False, True]
    assert [(await http.get(f"{CHAINS}/{chain['id']}{rest}")).status_code for rest in ("", "/steps")] == [404, 404]
    assert (await http.delete(f"{CHAINS}/{chain['id']}")).status_code == 404
    assert (await http.patch(f"{CHAINS}/{chain['id']}", json={"name": "again"})).status_code == 404
    assert (await shown(http, CHAINS))["items"] == []
    assert (await a_chain(http))["name"] == chain["name"]


@pytest.mark.parametrize("taken", ["taken/chain", "taken/model", "taken/alias"])
async def test_a_name_that_a_chain_a_model_or_an_alias_has_is_refused(
    http: httpx.AsyncClient, told: Told, taken: str
) -> None:
    await a_chain(http, name="taken/chain")
    await a_model(http, name="taken/model", aliases=["taken/alias"])
    other = await a_chain(http, name="other")
    steps = [{"model_id": other["steps"][0]["model_id"]}]

    answers = [
        await http.post(CHAINS, json={"name": taken, "steps": steps}),
        await http.patch(f"{CHAINS}/{other['id']}", json={"name": taken}),
        await http.put(f"{CHAINS}/{other['id']}", json={"name": taken, "steps": steps}),
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert {answer.json()["code"] for answer in answers} == {"already_exists"}
    assert len(await told(ChainChanged)) == 2


async def test_a_step_that_names_no_living_model_is_refused_by_its_path(http: httpx.AsyncClient, told: Told) -> None:
    model, deleted = await a_model(http), await a_model(http)
    await http.delete(f"/api/v1/models/{deleted['id']}")
    chain = await a_chain(http, model)

    for dangling in (str(uuid4()), deleted["id"]):
        steps = [{"model_id": model["id"]}, {"model_id": dangling}]
        made = await http.post(CHAINS, json={"name": "another", "steps": steps})
        changed = await http.patch(f"{CHAINS}/{chain['id']}", json={"steps": steps})
        for answer in (made, changed):
            assert (answer.status_code, answer.json()["code"]) == (422, "dangling_reference")
            assert fields_of(answer) == ["steps.1.model_id"]

    assert await shown(http, f"{CHAINS}/{chain['id']}") == chain
    assert len(await told(ChainChanged)) == 1


async def test_a_step_with_a_source_that_is_not_there_or_serves_another_model_is_refused(
    http: httpx.AsyncClient, told: Told
) -> None:
    model, other = await a_model(http), await a_model(http)
    supplier = await a_supplier(http)
    wrong = await a_source(http, other["id"], supplier["id"])
    deleted = await a_source(http, model["id"], supplier["id"])
    await http.delete(f"/api/v1/sources/{deleted['id']}")
    expected = {wrong["id"]: "wrong_source", deleted["id"]: "dangling_reference", str(uuid4()): "dangling_reference"}

    for source_id, code in expected.items():
        step = {"model_id": model["id"], "source_id": source_id}
        answer = await http.post(CHAINS, json={"name": "smart", "steps": [{"model_id": other["id"]}, step]})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert fields_of(answer) == ["steps.1.source_id"]

    assert await told(ChainChanged) == []


STEP = {"model_id": "0198c5a0-0000-7000-8000-000000000000"}


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour"),
    ({"steps": [{**STEP, "weight": 1}]}, "steps.0.weight"),
    ({"name": None}, "name"),
    ({"name": 7}, "name"),
    ({"name": ""}, "name"),
    ({"name": "with space"}, "name"),
    ({"name": "smart\n-line"}, "name"),
    ({"name": "schön"}, "name"),
    ({"name": "nul\x00"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"description": "nul\x00"}, "description"),
    ({"description": "x" * 10_001}, "description"),
    ({"is_active": None}, "is_active"),
    ({"is_active": "perhaps"}, "is_active"),
    ({"steps": None}, "steps"),
    ({"steps": "all"}, "steps"),
    ({"steps": []}, "steps"),
    ({"steps": [STEP, STEP]}, "steps"),
    ({"steps": [{"model_id": str(uuid4())} for _ in range(51)]}, "steps"),
    ({"steps": [{}]}, "steps.0.model_id"),
    ({"steps": [{"model_id": None}]}, "steps.0.model_id"),
    ({"steps": [{"model_id": "gpt-4o"}]}, "steps.0.model_id"),
    ({"steps": [STEP, {**STEP, "source_id": "x"}]}, "steps.1.source_id"),
]


async def test_bad_input_is_refused_by_its_field_and_changes_nothing(http: httpx.AsyncClient, told: Told) -> None:
    chain = await a_chain(http)
    good = {"name": "another", "steps": [{"model_id": chain["steps"][0]["model_id"]}]}

    for change, field in BAD_INPUT:
        answers = [
            await http.post(CHAINS, json={**good, **change}),
            await http.put(f"{CHAINS}/{chain['id']}", json={**good, **change}),
            await http.patch(f"{CHAINS}/{chain['id']}", json=change),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "invalid_input", [field]), (
                change
            )
            assert answer.headers["content-type"] == "application/problem+json"
    assert await shown(http, CHAINS) == {"items": [chain], "next_cursor": None}
    assert len(await told(ChainChanged)) == 1


async def test_fifty_steps_are_a_chain(http: httpx.AsyncClient) -> None:
    models = [await a_model(http) for _ in range(50)]

    chain = await a_chain(http, *models)

    assert [step["model_id"] for step in chain["steps"]] == [model["id"] for model in models]


async def test_chains_are_listed_by_pages_and_by_name(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    made = [await a_chain(http, model, name=name) for name in ("one", "two", "three")]

    first = await shown(http, f"{CHAINS}?limit=2")
    rest = await shown(http, f"{CHAINS}?limit=2&cursor={first['next_cursor']}")

    assert first["items"] + rest["items"] == made
    assert rest["next_cursor"] is None
    assert (await shown(http, f"{CHAINS}?name=two"))["items"] == [made[1]]
    assert (await shown(http, f"{CHAINS}?name=tw"))["items"] == []
