from typing import Any
from uuid import uuid4

import httpx

from builders import a_served_model, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import ScopeChanged

SCOPES = "/api/v1/scopes"


async def a_scope(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    model_ids = fields.pop("model_ids", None) or [(await a_served_model(http))["id"]]
    answer = await http.post(SCOPES, json={"name": "support", "model_ids": model_ids, **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def model_ids(http: httpx.AsyncClient, number: int) -> list[str]:
    return [(await a_served_model(http))["id"] for _ in range(number)]


async def test_a_new_scope_shows_and_tells_its_models_in_the_order_given(http: httpx.AsyncClient, told: Told) -> None:
    ids = (await model_ids(http, 3))[::-1]

    scope = await a_scope(http, name="Customer support", description="EU", model_ids=ids, default_model_id=ids[1])

    assert (scope["name"], scope["description"], scope["is_active"]) == ("Customer support", "EU", True)
    assert (scope["model_ids"], scope["default_model_id"]) == (ids, ids[1])
    assert await shown(http, f"{SCOPES}/{scope['id']}") == scope
    [event] = await told(ScopeChanged)
    assert event.model_dump(mode="json")["record"] == {
        "id": scope["id"],
        "name": "Customer support",
        "is_active": True,
        "model_ids": ids,
        "default_model_id": ids[1],
        "description": "EU",
        "domain": None,
        "strategy_id": None,
        "response_cache_s": None,
    }


async def test_put_sets_every_field_and_patch_only_those_given(http: httpx.AsyncClient, told: Told) -> None:
    one, two, three = await model_ids(http, 3)
    scope = await a_scope(http, description="old", model_ids=[one, two], default_model_id=one)
    path = f"{SCOPES}/{scope['id']}"

    renamed = (await http.patch(path, json={"name": "renamed", "is_active": False})).json()
    moved = (await http.patch(path, json={"model_ids": [three, one]})).json()
    without_default = (await http.patch(path, json={"default_model_id": None})).json()
    put = (await http.put(path, json={"name": "whole", "model_ids": [two]})).json()

    changed = {"version": 2, "updated_at": renamed["updated_at"]}
    assert renamed == {**scope, "name": "renamed", "is_active": False, **changed}
    assert renamed["updated_at"] > scope["updated_at"]
    assert moved == {**renamed, "model_ids": [three, one], "version": 3, "updated_at": moved["updated_at"]}
    assert without_default["default_model_id"] is None
    assert (put["name"], put["description"], put["is_active"], put["model_ids"]) == ("whole", None, True, [two])
    assert [[str(each) for each in event.record.model_ids] for event in await told(ScopeChanged)] == [
        [one, two],
        [one, two],
        [three, one],
        [three, one],
        [two],
    ]


async def test_a_default_outside_the_scope_is_refused_whichever_of_the_two_changes(
    http: httpx.AsyncClient, told: Told
) -> None:
    inside, outside = await model_ids(http, 2)
    scope = await a_scope(http, model_ids=[inside], default_model_id=inside)
    path = f"{SCOPES}/{scope['id']}"
    wrong = {"name": "another", "model_ids": [inside], "default_model_id": outside}

    answers = [
        await http.post(SCOPES, json=wrong),
        await http.put(path, json=wrong),
        await http.patch(path, json={"default_model_id": outside}),
        await http.patch(path, json={"model_ids": [outside]}),
    ]

    assert [(answer.status_code, answer.json()["code"], fields_of(answer)) for answer in answers] == [
        (422, "default_outside_scope", ["default_model_id"])
    ] * 4
    assert await shown(http, SCOPES) == {"items": [scope], "next_cursor": None}
    assert len(await told(ScopeChanged)) == 1


async def test_models_and_default_may_change_together(http: httpx.AsyncClient) -> None:
    before, after = await model_ids(http, 2)
    scope = await a_scope(http, model_ids=[before], default_model_id=before)

    answer = await http.patch(f"{SCOPES}/{scope['id']}", json={"model_ids": [after], "default_model_id": after})

    assert (answer.json()["model_ids"], answer.json()["default_model_id"]) == ([after], after)


async def test_a_change_that_changes_nothing_tells_nothing(http: httpx.AsyncClient, told: Told) -> None:
    one, two = await model_ids(http, 2)
    scope = await a_scope(http, model_ids=[one, two], default_model_id=two)
    path = f"{SCOPES}/{scope['id']}"

    answers = [
        await http.patch(path, json={"model_ids": [one, two], "default_model_id": two}),
        await http.patch(path, json={}),
        await http.put(path, json={"name": "support", "model_ids": [one, two], "default_model_id": two}),
        await http.post(f"{path}/enable"),
    ]

    assert [answer.json() for answer in answers] == [scope] * len(answers)
    assert len(await told(ScopeChanged)) == 1


async def test_disabling_and_enabling_is_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    scope = await a_scope(http)

    disabled = await http.post(f"{SCOPES}/{scope['id']}/disable")
    enabled = await http.post(f"{SCOPES}/{scope['id']}/enable")

    assert (disabled.json()["is_active"], enabled.json()["is_active"]) == (False, True)
    assert [event.record.is_active for event in await told(ScopeChanged)] == [True, False, True]
    assert (await told(ScopeChanged))[1].record.model_ids == (await told(ScopeChanged))[0].record.model_ids


async def test_a_deleted_scope_is_gone_and_its_name_free(http: httpx.AsyncClient, told: Told) -> None:
    scope = await a_scope(http)

    answer = await http.delete(f"{SCOPES}/{scope['id']}")

    assert answer.status_code == 204
    assert [event.deleted for event in await told(ScopeChanged)] == [False, True]
    assert (await http.get(f"{SCOPES}/{scope['id']}")).status_code == 404
    assert (await http.delete(f"{SCOPES}/{scope['id']}")).status_code == 404
    assert (await shown(http, SCOPES))["items"] == []
    assert (await a_scope(http))["name"] == scope["name"]


async def test_a_name_that_is_taken_is_refused(http: httpx.AsyncClient, told: Told) -> None:
    await a_scope(http, name="taken")
    other = await a_scope(http, name="other")

    answers = [
        await http.post(SCOPES, json={"name": "taken", "model_ids": other["model_ids"]}),
        await http.patch(f"{SCOPES}/{other['id']}", json={"name": "taken"}),
    ]

    assert [(answer.status_code, answer.json()["code"], fields_of(answer)) for answer in answers] == [
        (409, "already_exists", ["name"])
    ] * 2
    assert len(await told(ScopeChanged)) == 2


async def test_a_scope_with_a_model_that_does_not_live_is_refused_by_its_path(
    http: httpx.AsyncClient, told: Told
) -> None:
    model_id, deleted = await model_ids(http, 2)
    await http.delete(f"/api/v1/models/{deleted}", params={"force": True})
    scope = await a_scope(http, model_ids=[model_id])

    for dangling in (str(uuid4()), deleted):
        made = await http.post(SCOPES, json={"name": "another", "model_ids": [model_id, dangling]})
        changed = await http.patch(f"{SCOPES}/{scope['id']}", json={"model_ids": [model_id, dangling]})
        for answer in (made, changed):
            assert (answer.status_code, answer.json()["code"]) == (422, "dangling_reference")
            assert fields_of(answer) == ["model_ids.1"]

    assert await shown(http, f"{SCOPES}/{scope['id']}") == scope
    assert len(await told(ScopeChanged)) == 1


async def test_a_scope_keeps_a_model_that_was_deleted_and_can_still_be_changed(http: httpx.AsyncClient) -> None:
    kept, deleted = await model_ids(http, 2)
    scope = await a_scope(http, model_ids=[kept, deleted])
    await http.delete(f"/api/v1/models/{deleted}", params={"force": True})

    answer = await http.patch(f"{SCOPES}/{scope['id']}", json={"name": "renamed"})

    assert (answer.status_code, answer.json()["model_ids"]) == (200, [kept, deleted])


ID = str(uuid4())


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour"),
    ({"name": None}, "name"),
    ({"name": 7}, "name"),
    ({"name": "  "}, "name"),
    ({"name": "nul\x00"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"description": "nul\x00"}, "description"),
    ({"description": "x" * 10_001}, "description"),
    ({"is_active": None}, "is_active"),
    ({"model_ids": None}, "model_ids"),
    ({"model_ids": ID}, "model_ids"),
    ({"model_ids": []}, "model_ids"),
    ({"model_ids": [ID, ID]}, "model_ids"),
    ({"model_ids": [str(uuid4()) for _ in range(1001)]}, "model_ids"),
    ({"model_ids": ["gpt-4o"]}, "model_ids.0"),
    ({"default_model_id": "gpt-4o"}, "default_model_id"),
]


async def test_bad_input_is_refused_by_its_field_and_changes_nothing(http: httpx.AsyncClient, told: Told) -> None:
    scope = await a_scope(http)
    good = {"name": "another", "model_ids": scope["model_ids"]}

    for change, field in BAD_INPUT:
        answers = [
            await http.post(SCOPES, json={**good, **change}),
            await http.put(f"{SCOPES}/{scope['id']}", json={**good, **change}),
            await http.patch(f"{SCOPES}/{scope['id']}", json=change),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "invalid_input", [field]), (
                change
            )
    assert await shown(http, SCOPES) == {"items": [scope], "next_cursor": None}
    assert len(await told(ScopeChanged)) == 1


async def test_scopes_are_listed_by_pages_and_by_name(http: httpx.AsyncClient) -> None:
    made = [await a_scope(http, name=name) for name in ("one", "two", "three")]

    first = await shown(http, f"{SCOPES}?limit=2")
    rest = await shown(http, f"{SCOPES}?limit=2&cursor={first['next_cursor']}")

    assert first["items"] + rest["items"] == made
    assert rest["next_cursor"] is None
    assert (await shown(http, f"{SCOPES}?name=two"))["items"] == [made[1]]


STRATEGIES = "/api/v1/cost-strategies"


async def a_strategy(http: httpx.AsyncClient, name: str = "cheap") -> dict[str, Any]:
    answer = await http.post(STRATEGIES, json={"name": name, "cost_weight": 1})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_scope_says_what_it_stands_for_and_how_a_source_is_chosen(http: httpx.AsyncClient, told: Told) -> None:
    strategy = await a_strategy(http)

    scope = await a_scope(http, domain="module", strategy_id=strategy["id"])
    await a_scope(http, name="other", domain="tenant")

    assert (scope["domain"], scope["strategy_id"], scope["warnings"]) == ("module", strategy["id"], [])
    record = (await told(ScopeChanged))[0].record
    assert (record.domain, str(record.strategy_id)) == ("module", strategy["id"])
    assert (await shown(http, f"{SCOPES}?domain=module"))["items"] == [scope]
    assert (await shown(http, f"{SCOPES}?strategy_id={strategy['id']}"))["items"] == [scope]
    assert (await http.patch(f"{SCOPES}/{scope['id']}", json={"strategy_id": None})).json()["strategy_id"] is None


async def test_a_scope_says_for_how_long_answers_may_be_given_again(http: httpx.AsyncClient, told: Told) -> None:
    scope = await a_scope(http, response_cache_s=300)
    path = f"{SCOPES}/{scope['id']}"

    refused = [(await http.patch(path, json={"response_cache_s": wrong})).status_code for wrong in (0, -1, 86_401, 1.5)]
    off = await http.patch(path, json={"response_cache_s": None})

    assert (scope["response_cache_s"], refused) == (300, [422] * 4)
    assert off.json()["response_cache_s"] is None
    assert [event.record.response_cache_s for event in await told(ScopeChanged)] == [300, None]


async def test_a_scope_with_a_strategy_that_does_not_live_is_refused(http: httpx.AsyncClient, told: Told) -> None:
    scope = await a_scope(http)
    deleted = await a_strategy(http)
    await http.delete(f"{STRATEGIES}/{deleted['id']}")

    for dangling in (str(uuid4()), deleted["id"]):
        answer = await http.patch(f"{SCOPES}/{scope['id']}", json={"strategy_id": dangling})
        assert (answer.status_code, answer.json()["code"]) == (422, "dangling_reference")
        assert fields_of(answer) == ["strategy_id"]
    assert len(await told(ScopeChanged)) == 1


async def test_what_a_scope_refers_to_in_vain_is_warned_of(http: httpx.AsyncClient) -> None:
    served, stale = await model_ids(http, 2)
    strategy = await a_strategy(http)
    scope = await a_scope(http, model_ids=[served, stale], default_model_id=stale, strategy_id=strategy["id"])

    await http.post(f"/api/v1/models/{stale}/disable", params={"force": True})
    await http.post(f"{STRATEGIES}/{strategy['id']}/disable", params={"force": True})

    warnings = (await shown(http, f"{SCOPES}/{scope['id']}"))["warnings"]
    assert [(warning["field"], warning["code"]) for warning in warnings] == [
        ("model_ids.1", "not_available"),
        ("default_model_id", "not_available"),
        ("strategy_id", "not_available"),
    ]
    assert [each["id"] for each in (await shown(http, f"{SCOPES}?has_stale=true&model_id={stale}"))["items"]] == [
        scope["id"]
    ]
