import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from builders import a_model, a_served_model, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import AccessKeyChanged, ConsumerChanged
from servers import FreshDatabase

CONSUMERS, KEYS, SCOPES = "/api/v1/consumers", "/api/v1/access-keys", "/api/v1/scopes"
ID = str(uuid4())


async def a_consumer(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post(CONSUMERS, json={"name": "acme", "kind": "tenant", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def a_scope(http: httpx.AsyncClient, name: str) -> str:
    model = await a_model(http)
    answer = await http.post(SCOPES, json={"name": name, "model_ids": [model["id"]]})
    assert answer.status_code == 201, answer.text
    scope_id: str = answer.json()["id"]
    return scope_id


async def a_key(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post(KEYS, json={"name": "team", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_consumer_is_kept_shown_and_told_whole(http: httpx.AsyncClient, told: Told) -> None:
    model, scope_id = await a_served_model(http), await a_scope(http, "support")

    made = await a_consumer(
        http,
        kind="user",
        tier="pro",
        description="Ada",
        model_ids=[model["id"]],
        scope_ids=[scope_id],
        rpm_limit=60,
        tpm_limit=100_000,
        concurrency_limit=5,
        budgets={"day": "2.50", "total": 1000},
    )

    assert made["budgets"] == {"day": "2.5", "week": None, "month": None, "total": "1000"}
    assert (made["access_keys"], made["warnings"], made["version"]) == (0, [], 1)
    assert await shown(http, f"{CONSUMERS}/{made['id']}") == made
    assert (await shown(http, CONSUMERS))["items"] == [made]
    [event] = await told(ConsumerChanged)
    assert event.model_dump(mode="json")["record"] == {
        "id": made["id"],
        "name": "acme",
        "consumer_kind": "user",
        "tier": "pro",
        "is_active": True,
        "model_ids": [model["id"]],
        "scope_ids": [scope_id],
        "rpm_limit": 60,
        "tpm_limit": 100_000,
        "concurrency_limit": 5,
        "budgets": [{"period": "day", "amount": "2.5"}, {"period": "total", "amount": "1000"}],
        "description": "Ada",
    }


async def test_put_sets_every_field_and_patch_only_those_given(http: httpx.AsyncClient, told: Told) -> None:
    scope_id = await a_scope(http, "support")
    made = await a_consumer(http, tier="max", scope_ids=[scope_id], budgets={"day": 1, "week": 5}, rpm_limit=3)
    path = f"{CONSUMERS}/{made['id']}"

    patched = (await http.patch(path, json={"budgets": {"month": "0.000001"}})).json()
    put = (await http.put(path, json={"name": "acme", "kind": "tenant"})).json()

    assert patched["budgets"] == {"day": None, "week": None, "month": "0.000001", "total": None}
    assert (patched["tier"], patched["scope_ids"], patched["rpm_limit"]) == ("max", [scope_id], 3)
    assert (put["tier"], put["scope_ids"], put["rpm_limit"]) == ("free", None, None)
    assert put["budgets"] == dict.fromkeys(("day", "week", "month", "total"))
    assert len(await told(ConsumerChanged)) == 3


async def test_a_change_that_changes_nothing_tells_nothing(http: httpx.AsyncClient, told: Told) -> None:
    scope_id = await a_scope(http, "support")
    made = await a_consumer(http, scope_ids=[scope_id], budgets={"day": "1.50"})
    path = f"{CONSUMERS}/{made['id']}"

    answers = [
        await http.patch(path, json={"budgets": {"day": 1.5}, "scope_ids": [scope_id]}),
        await http.patch(path, json={}),
        await http.post(f"{path}/enable"),
    ]

    assert [each.json() for each in answers] == [made] * 3
    assert len(await told(ConsumerChanged)) == 1


async def test_a_name_that_is_taken_is_refused_and_free_again_once_deleted(http: httpx.AsyncClient) -> None:
    made, other = await a_consumer(http), await a_consumer(http, name="other")

    answers = [
        await http.post(CONSUMERS, json={"name": "acme", "kind": "user"}),
        await http.patch(f"{CONSUMERS}/{other['id']}", json={"name": "acme"}),
    ]
    assert [(each.status_code, fields_of(each)) for each in answers] == [(409, ["name"])] * 2

    await http.delete(f"{CONSUMERS}/{made['id']}")
    assert (await a_consumer(http))["id"] != made["id"]


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"kind": "friend"}, "kind"),
    ({"tier": "platinum"}, "tier"),
    ({"name": ""}, "name"),
    ({"colour": "red"}, "colour"),
    ({"is_active": None}, "is_active"),
    ({"description": "nul\x00"}, "description"),
    ({"rpm_limit": 0}, "rpm_limit"),
    ({"tpm_limit": 2**31}, "tpm_limit"),
    ({"concurrency_limit": -1}, "concurrency_limit"),
    ({"budgets": None}, "budgets"),
    ({"budgets": {"year": 1}}, "budgets.year"),
    ({"budgets": {"day": -1}}, "budgets.day"),
    ({"budgets": {"day": "NaN"}}, "budgets.day"),
    ({"budgets": {"day": "1e400"}}, "budgets.day"),
    ({"budgets": {"day": "0.0000001"}}, "budgets.day"),
    ({"model_ids": []}, "model_ids"),
    ({"model_ids": [ID, ID]}, "model_ids"),
    ({"scope_ids": []}, "scope_ids"),
    ({"scope_ids": [ID, ID]}, "scope_ids"),
    ({"scope_ids": [str(uuid4()) for _ in range(1001)]}, "scope_ids"),
    ({"scope_ids": ["support"]}, "scope_ids.0"),
]


async def test_bad_input_is_refused_by_its_field_and_changes_nothing(http: httpx.AsyncClient, told: Told) -> None:
    made = await a_consumer(http)
    good = {"name": "another", "kind": "tenant"}

    for change, field in BAD_INPUT:
        answers = [
            await http.post(CONSUMERS, json={**good, **change}),
            await http.put(f"{CONSUMERS}/{made['id']}", json={**good, **change}),
            await http.patch(f"{CONSUMERS}/{made['id']}", json=change),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "invalid_input", [field]), (
                change
            )
    assert (await shown(http, CONSUMERS))["items"] == [made]
    assert len(await told(ConsumerChanged)) == 1


@pytest.mark.parametrize(("field", "noun"), [("model_ids", "model"), ("scope_ids", "scope")])
async def test_what_does_not_live_is_refused_by_its_path(
    http: httpx.AsyncClient, told: Told, field: str, noun: str
) -> None:
    deleted = await a_scope(http, "gone") if noun == "scope" else (await a_model(http))["id"]
    await http.delete(f"{SCOPES if noun == 'scope' else '/api/v1/models'}/{deleted}")
    made, key = await a_consumer(http), await a_key(http)

    for dangling in (deleted, ID):
        answers = [
            await http.post(CONSUMERS, json={"name": "another", "kind": "tenant", field: [dangling]}),
            await http.patch(f"{CONSUMERS}/{made['id']}", json={field: [dangling]}),
            await http.post(KEYS, json={"name": "another", field: [dangling]}),
            await http.patch(f"{KEYS}/{key['id']}", json={field: [dangling]}),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (422, "dangling_reference")
            assert fields_of(answer) == [f"{field}.0"]
    assert len(await told(ConsumerChanged)) == 1


async def test_what_is_away_or_above_the_tier_is_taken_with_a_warning(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    away, served = await a_model(http), await a_served_model(http)
    connection = await asyncpg.connect(database.superuser())
    await connection.execute("UPDATE catalog.models SET tier = 'max' WHERE id = $1::text::uuid", served["id"])
    await connection.close()
    scope_id = await a_scope(http, "support")
    await http.post(f"{SCOPES}/{scope_id}/disable")

    made = await a_consumer(http, tier="pro", model_ids=[away["id"], served["id"]], scope_ids=[scope_id])
    raised = await http.patch(f"{CONSUMERS}/{made['id']}", json={"tier": "max"})

    assert [(each["field"], each["code"]) for each in made["warnings"]] == [
        ("model_ids.0", "not_available"),
        ("model_ids.1", "tier_too_low"),
        ("scope_ids.0", "not_available"),
    ]
    assert all(each["message"] for each in made["warnings"])
    assert [each["field"] for each in raised.json()["warnings"]] == ["model_ids.0", "scope_ids.0"]


async def test_a_disabled_consumer_keeps_its_keys_and_they_warn_of_it(http: httpx.AsyncClient, told: Told) -> None:
    made = await a_consumer(http)
    key = await a_key(http, consumer_id=made["id"])

    await http.post(f"{CONSUMERS}/{made['id']}/disable")
    disabled = await shown(http, f"{KEYS}/{key['id']}")
    await http.post(f"{CONSUMERS}/{made['id']}/enable")

    assert disabled["is_active"] is True
    assert [(each["field"], each["code"]) for each in disabled["warnings"]] == [("consumer_id", "not_available")]
    assert (await shown(http, f"{KEYS}/{key['id']}"))["warnings"] == []
    assert [each.record.is_active for each in await told(ConsumerChanged)] == [True, False, True]
    assert len(await told(AccessKeyChanged)) == 1


async def test_a_deleted_consumer_takes_its_access_keys_with_it(http: httpx.AsyncClient, told: Told) -> None:
    made = await a_consumer(http)
    held = [await a_key(http, name=name, consumer_id=made["id"]) for name in ("one", "two")]
    other = await a_key(http, name="other")
    assert (await shown(http, f"{CONSUMERS}/{made['id']}"))["access_keys"] == 2

    assert (await http.delete(f"{CONSUMERS}/{made['id']}")).status_code == 204

    assert [item["id"] for item in (await shown(http, KEYS))["items"]] == [other["id"]]
    gone = {str(each.id) for each in await told(AccessKeyChanged) if each.deleted}
    assert gone == {key["id"] for key in held}
    assert [each.deleted for each in await told(ConsumerChanged)] == [False, True]
    assert (await http.get(f"{CONSUMERS}/{made['id']}")).status_code == 404


async def test_a_key_made_while_its_consumer_is_deleted_is_refused_or_goes_with_it(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    for number in range(6):
        made = await a_consumer(http, name=f"consumer {number}")
        moving = await a_key(http, name=f"moving {number}")
        deleted, created, moved = await asyncio.gather(
            http.delete(f"{CONSUMERS}/{made['id']}"),
            http.post(KEYS, json={"name": f"key {number}", "consumer_id": made["id"]}),
            http.patch(f"{KEYS}/{moving['id']}", json={"consumer_id": made["id"]}),
        )
        assert (deleted.status_code, created.status_code in {201, 422}, moved.status_code in {200, 422}) == (
            204,
            True,
            True,
        )

    connection = await asyncpg.connect(database.superuser())
    query = """
        SELECT count(*) FROM catalog.access_keys k JOIN catalog.consumers c ON c.id = k.consumer_id
        WHERE k.deleted_at IS NULL AND c.deleted_at IS NOT NULL
    """
    assert await connection.fetchval(query) == 0
    await connection.close()


async def test_a_key_of_nobody_who_lives_is_refused(http: httpx.AsyncClient) -> None:
    made = await a_consumer(http)
    await http.delete(f"{CONSUMERS}/{made['id']}")
    key = await a_key(http)

    for consumer_id in (made["id"], ID):
        answers = [
            await http.post(KEYS, json={"name": "another", "consumer_id": consumer_id}),
            await http.patch(f"{KEYS}/{key['id']}", json={"consumer_id": consumer_id}),
        ]
        assert [(each.status_code, fields_of(each)) for each in answers] == [(422, ["consumer_id"])] * 2


async def test_consumers_are_found_by_each_filter_sorted_and_paged(http: httpx.AsyncClient) -> None:
    model, scope_id = await a_model(http), await a_scope(http, "support")
    await a_consumer(http, name="b", tier="pro", model_ids=[model["id"]], description="Paris office")
    await a_consumer(http, name="a", kind="user", scope_ids=[scope_id])
    await a_consumer(http, name="c", is_active=False, scope_ids=[await a_scope(http, "sales")])

    async def names(query: str) -> list[str]:
        return [item["name"] for item in (await shown(http, f"{CONSUMERS}?{query}"))["items"]]

    assert await names("kind=user") == ["a"]
    assert await names("tier=pro") == ["b"]
    assert await names("is_active=false") == ["c"]
    assert await names("search=paris") == ["b"]
    assert await names("name=a") == ["a"]
    assert await names("has_stale=true") == ["b"]
    assert await names(f"model_id={ID}") == ["a", "c"]
    assert await names(f"scope_id={scope_id}") == ["b", "a"]
    assert await names("sort=name") == ["a", "b", "c"]
    first = await shown(http, f"{CONSUMERS}?sort=-name&limit=2")
    rest = await shown(http, f"{CONSUMERS}?sort=-name&limit=2&cursor={first['next_cursor']}")
    assert [item["name"] for item in first["items"] + rest["items"]] == ["c", "b", "a"]


async def test_a_consumer_changed_meanwhile_is_not_changed_over(http: httpx.AsyncClient) -> None:
    made = await a_consumer(http)
    path = f"{CONSUMERS}/{made['id']}"

    answers = await asyncio.gather(
        *(http.patch(path, json={"rpm_limit": limit}, headers={"If-Match": '"1"'}) for limit in (1, 2, 3))
    )

    assert sorted(each.status_code for each in answers) == [200, 412, 412]


async def test_consumers_and_their_keys_are_in_the_snapshot(http: httpx.AsyncClient, told: Told) -> None:
    made = await a_consumer(http, budgets={"week": "7"})
    await a_key(http, consumer_id=made["id"], budgets={"day": "1"}, rpm_limit=4)

    snapshot = (await http.get("/api/v1/snapshot", params={"kinds": "consumer,access_key"})).json()["records"]

    for kind, event in (("consumer", ConsumerChanged), ("access_key", AccessKeyChanged)):
        [change] = await told(event)
        assert snapshot[kind] == [change.model_dump(mode="json")["record"]]
