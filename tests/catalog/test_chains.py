from typing import Any
from uuid import uuid4

import httpx
import pytest

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import ChainChanged

CHAINS = "/api/v1/fallback-chains"
FORCED = {"force": True}


async def a_chain(http: httpx.AsyncClient, *models: dict[str, Any], **fields: Any) -> dict[str, Any]:
    steps = [{"model_id": model["id"]} for model in models or [await a_served_model(http)]]
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
        "triggers": ["any"],
        "protocol": None,
        "features": None,
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
        "steps": [
            {name: step[name] for name in ("id", "model_id", "source_id", "triggers", "protocol", "features")}
            for step in chain["steps"]
        ],
        "description": "two steps",
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
    await http.post(f"/api/v1/sources/{source['id']}/disable", params=FORCED)
    assert await standing() == [(True, None), (False, "disabled")]
    await http.post(f"/api/v1/sources/{source['id']}/enable")
    await http.post(f"/api/v1/models/{model['id']}/disable", params=FORCED)
    assert await standing() == [(False, "disabled"), (False, "disabled")]


async def test_steps_that_are_replaced_keep_the_ids_of_the_targets_that_stay(
    http: httpx.AsyncClient, told: Told
) -> None:
    stays, goes, comes = [await a_served_model(http) for _ in range(3)]
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
    first, second = await a_served_model(http), await a_served_model(http)
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
    chain = await a_chain(http, *[await a_served_model(http) for _ in range(3)])
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
    chain = await a_chain(http, await a_served_model(http), await a_served_model(http))
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
    model = await a_served_model(http)
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
    model, deleted = await a_served_model(http), await a_served_model(http)
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
    model, other = await a_served_model(http), await a_served_model(http)
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
    models = [await a_served_model(http), *[await a_model(http) for _ in range(49)]]

    chain = await a_chain(http, *models)

    assert [step["model_id"] for step in chain["steps"]] == [model["id"] for model in models]


async def test_chains_are_listed_by_pages_and_by_name(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    made = [await a_chain(http, model, name=name) for name in ("one", "two", "three")]

    first = await shown(http, f"{CHAINS}?limit=2")
    rest = await shown(http, f"{CHAINS}?limit=2&cursor={first['next_cursor']}")

    assert first["items"] + rest["items"] == made
    assert rest["next_cursor"] is None
    assert (await shown(http, f"{CHAINS}?name=two"))["items"] == [made[1]]
    assert (await shown(http, f"{CHAINS}?name=tw"))["items"] == []


async def test_a_step_says_after_which_failures_it_is_tried_and_what_it_may_be_used_for(
    http: httpx.AsyncClient, told: Told
) -> None:
    first, second = await a_served_model(http), await a_served_model(http)
    second_step = {
        "model_id": second["id"],
        "triggers": ["timeout", "rate_limit"],
        "protocol": "anthropic",
        "features": {"vision": False},
    }

    chain = await a_chain(http, steps=[{"model_id": first["id"], "triggers": ["timeout", "any"]}, second_step])

    assert [step["triggers"] for step in chain["steps"]] == [["any"], ["rate_limit", "timeout"]]
    assert (chain["steps"][1]["protocol"], chain["steps"][1]["features"]) == ("anthropic", {"vision": False})
    record = (await told(ChainChanged))[0].record
    assert (record.steps[1].triggers, record.steps[1].protocol) == (["rate_limit", "timeout"], "anthropic")
    assert record.steps[1].features == {"vision": False}


@pytest.mark.parametrize(
    ("step", "field"),
    [
        ({"triggers": []}, "steps.0.triggers"),
        ({"triggers": ["sometimes"]}, "steps.0.triggers.0"),
        ({"triggers": ["any", "any"]}, "steps.0.triggers"),
        ({"protocol": "smoke"}, "steps.0.protocol"),
        ({"features": {"": True}}, "steps.0.features..[key]"),
        ({"features": {"vision": "perhaps"}}, "steps.0.features.vision"),
        ({"features": {f"f{number}": True for number in range(51)}}, "steps.0.features"),
    ],
)
async def test_how_a_step_is_tried_is_checked(http: httpx.AsyncClient, step: dict[str, Any], field: str) -> None:
    answer = await http.post(CHAINS, json={"name": "smart", "steps": [{**STEP, **step}]})

    assert (answer.status_code, fields_of(answer)) == (422, [field])


async def test_stale_steps_are_warned_of_wherever_the_chain_is_shown(http: httpx.AsyncClient) -> None:
    served, unserved = await a_served_model(http), await a_model(http)

    chain = await a_chain(http, served, unserved)

    message = f"'{unserved['name']}' is not available: no_source"
    assert chain["warnings"] == [{"field": "steps.1.model_id", "code": "not_available", "message": message}]
    assert (await shown(http, f"{CHAINS}/{chain['id']}"))["warnings"] == chain["warnings"]
    assert (await shown(http, CHAINS))["items"] == [chain]


async def test_steps_that_are_all_stale_are_refused_unless_they_are_meant(http: httpx.AsyncClient, told: Told) -> None:
    served, unserved = await a_served_model(http), await a_model(http)
    stale = [{"model_id": unserved["id"]}]
    chain = await a_chain(http, served)
    path = f"{CHAINS}/{chain['id']}"

    refused = [
        await http.post(CHAINS, json={"name": "stale", "steps": stale}),
        await http.put(path, json={"name": "smart", "steps": stale}),
        await http.patch(path, json={"steps": stale}),
        await http.patch(f"{path}/steps/{chain['steps'][0]['id']}", json={"model_id": unserved["id"]}),
    ]
    taken = await http.post(CHAINS, json={"name": "stale", "steps": stale}, params=FORCED)

    assert [(answer.status_code, answer.json()["code"], fields_of(answer)) for answer in refused] == [
        (422, "only_stale_steps", ["steps"])
    ] * 4
    assert [warning["code"] for warning in taken.json()["warnings"]] == ["not_available", "nothing_available"]
    assert len(await told(ChainChanged)) == 2


async def test_a_chain_whose_steps_have_all_become_stale_can_still_be_renamed_and_reordered(
    http: httpx.AsyncClient,
) -> None:
    models = [await a_served_model(http) for _ in range(2)]
    chain = await a_chain(http, *models)
    for model in models:
        await http.post(f"/api/v1/models/{model['id']}/disable", params=FORCED)
    path = f"{CHAINS}/{chain['id']}"

    renamed = await http.patch(path, json={"name": "renamed"})
    reordered = await http.post(f"{path}/reorder", json={"step_ids": [step["id"] for step in reversed(chain["steps"])]})

    assert [renamed.status_code, reordered.status_code] == [200, 200]


async def test_single_steps_are_added_changed_moved_and_removed(http: httpx.AsyncClient, told: Told) -> None:
    one, two, three = [await a_served_model(http) for _ in range(3)]
    chain = await a_chain(http, one)
    steps = f"{CHAINS}/{chain['id']}/steps"

    added = await http.post(steps, json={"model_id": two["id"]})
    first = await http.post(steps, json={"model_id": three["id"], "position": 0})
    ids = {step["model_id"]: step["id"] for step in first.json()["steps"]}
    changed = await http.patch(f"{steps}/{ids[two['id']]}", json={"triggers": ["timeout"], "position": 0})
    removed = await http.delete(f"{steps}/{ids[three['id']]}")

    def order(answer: httpx.Response) -> list[str]:
        return [step["model_id"] for step in answer.json()["steps"]]

    assert (added.status_code, order(added)) == (201, [one["id"], two["id"]])
    assert order(first) == [three["id"], one["id"], two["id"]]
    assert order(changed) == [two["id"], three["id"], one["id"]]
    assert changed.json()["steps"][0]["id"] == ids[two["id"]]
    assert changed.json()["steps"][0]["triggers"] == ["timeout"]
    left = (await shown(http, f"{CHAINS}/{chain['id']}"))["steps"]
    assert (removed.status_code, [step["id"] for step in left]) == (204, [ids[two["id"]], ids[one["id"]]])
    assert [step["position"] for step in left] == [0, 1]
    assert len(await told(ChainChanged)) == 5


async def test_a_step_that_goes_elsewhere_drops_the_source_of_before(http: httpx.AsyncClient) -> None:
    one, two = await a_served_model(http), await a_served_model(http)
    source = (await shown(http, f"/api/v1/sources?model_id={one['id']}"))["items"][0]
    chain = await a_chain(http, steps=[{"model_id": one["id"], "source_id": source["id"]}])
    step = chain["steps"][0]

    answer = await http.patch(f"{CHAINS}/{chain['id']}/steps/{step['id']}", json={"model_id": two["id"]})

    [moved] = answer.json()["steps"]
    assert (moved["model_id"], moved["source_id"]) == (two["id"], None)
    assert moved["id"] != step["id"]


async def test_what_a_single_step_can_not_be_is_refused(http: httpx.AsyncClient, told: Told) -> None:
    one, two = await a_served_model(http), await a_served_model(http)
    chain = await a_chain(http, one)
    only = await a_chain(http, two, name="only")
    steps = f"{CHAINS}/{chain['id']}/steps"

    answers = [
        await http.post(steps, json={"model_id": one["id"]}),
        await http.post(steps, json={"model_id": str(uuid4())}),
        await http.post(steps, json={"model_id": two["id"], "position": -1}),
        await http.patch(f"{steps}/{chain['steps'][0]['id']}", json={"model_id": None}),
        await http.patch(f"{steps}/{only['steps'][0]['id']}", json={"triggers": ["timeout"]}),
        await http.delete(f"{steps}/{chain['steps'][0]['id']}"),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (409, "already_exists"),
        (422, "dangling_reference"),
        (422, "invalid_input"),
        (422, "invalid_input"),
        (404, "not_found"),
        (409, "last_step"),
    ]
    assert len(await told(ChainChanged)) == 2


async def test_a_chain_of_fifty_steps_takes_no_other(http: httpx.AsyncClient) -> None:
    models = [await a_served_model(http), *[await a_model(http) for _ in range(50)]]
    chain = await a_chain(http, *models[:50])

    answer = await http.post(f"{CHAINS}/{chain['id']}/steps", json={"model_id": models[50]["id"]})

    assert (answer.status_code, answer.json()["code"]) == (409, "chain_full")


async def test_a_change_of_a_step_is_held_to_the_version_that_was_seen(http: httpx.AsyncClient) -> None:
    chain = await a_chain(http)
    other = await a_served_model(http)
    path = f"{CHAINS}/{chain['id']}/steps"

    late = await http.post(path, json={"model_id": other["id"]}, headers={"If-Match": '"7"'})
    seen = await http.post(path, json={"model_id": other["id"]}, headers={"If-Match": '"1"'})

    assert [late.status_code, seen.status_code] == [412, 201]
    assert seen.headers["ETag"] == '"2"'


async def test_chains_are_filtered_by_what_they_refer_to_and_how_they_stand(http: httpx.AsyncClient) -> None:
    served, unserved = await a_served_model(http), await a_model(http)
    source = (await shown(http, f"/api/v1/sources?model_id={served['id']}"))["items"][0]
    plain = await a_chain(http, served, name="plain", description="Nothing special")
    await a_chain(http, served, unserved, name="half")
    await a_chain(http, steps=[{"model_id": served["id"], "source_id": source["id"]}], name="exact", is_active=False)

    async def names(query: str) -> list[str]:
        return [chain["name"] for chain in (await shown(http, f"{CHAINS}?{query}"))["items"]]

    assert await names(f"model_id={unserved['id']}") == ["half"]
    assert await names(f"model_id={served['id']}") == ["plain", "half", "exact"]
    assert await names("has_stale=true") == ["half"]
    assert await names("has_stale=false&is_active=true") == ["plain"]
    assert await names("search=SPECIAL") == [plain["name"]]
    assert await names("search=100%") == []
    assert await names("sort=-name") == ["plain", "half", "exact"]
    await http.post(f"/api/v1/sources/{source['id']}/disable", params=FORCED)
    assert await names("has_stale=true") == ["plain", "half", "exact"]
