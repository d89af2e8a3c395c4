import asyncio
import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from builders import a_model, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import AccessKeyChanged
from running import eventually
from servers import FreshDatabase

KEYS = "/api/v1/access-keys"
MUCH_LATER = "2999-01-01T00:00:00Z"


async def an_access_key(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    answer = await http.post(KEYS, json={"name": "team", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def without_key(made: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if name != "key"}


async def test_a_new_key_is_shown_once_and_known_by_its_hash(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    made = await an_access_key(http, name="team")

    key, key_hash = made["key"], hashlib.sha256(made["key"].encode()).hexdigest()
    assert re.fullmatch(r"mb-[A-Za-z0-9_-]{43}", key)
    assert made["prefix"] == key[:10]
    assert (made["name"], made["is_active"], made["expires_at"], made["model_ids"]) == ("team", True, None, None)
    shown_again = await shown(http, f"{KEYS}/{made['id']}")
    assert shown_again == without_key(made)
    assert (await shown(http, KEYS))["items"] == [shown_again]
    [event] = await told(AccessKeyChanged)
    assert event.model_dump(mode="json")["record"] == {
        "id": made["id"],
        "name": "team",
        "key_hash": key_hash,
        "is_active": True,
        "expires_at": None,
        "model_ids": None,
        "consumer_id": None,
        "scope_ids": None,
        "rpm_limit": None,
        "tpm_limit": None,
        "concurrency_limit": None,
        "budgets": [],
        "previous_key_hash": None,
        "previous_expires_at": None,
    }
    connection = await asyncpg.connect(database.superuser())
    kept = await connection.fetchval("SELECT key_hash || prefix FROM catalog.access_keys")
    await connection.close()
    assert kept == key_hash + key[:10]
    assert key not in event.model_dump_json()


async def test_two_keys_are_never_the_same(http: httpx.AsyncClient) -> None:
    one, two = await an_access_key(http, name="one"), await an_access_key(http, name="two")

    assert one["key"] != two["key"]


async def test_a_key_may_be_restricted_to_models_and_freed_again(http: httpx.AsyncClient, told: Told) -> None:
    one, two = (await a_model(http))["id"], (await a_model(http))["id"]
    made = await an_access_key(http, model_ids=[two, one])
    path = f"{KEYS}/{made['id']}"

    narrowed = (await http.patch(path, json={"model_ids": [one]})).json()
    freed = (await http.patch(path, json={"model_ids": None})).json()

    assert (made["model_ids"], narrowed["model_ids"], freed["model_ids"]) == ([two, one], [one], None)
    assert await shown(http, path) == freed
    assert [
        None if event.record.model_ids is None else [str(each) for each in event.record.model_ids]
        for event in await told(AccessKeyChanged)
    ] == [[two, one], [one], None]


async def test_an_expiry_is_kept_in_utc(http: httpx.AsyncClient, told: Told) -> None:
    made = await an_access_key(http, expires_at="2999-01-01T02:00:00.000001+02:00")

    assert made["expires_at"] == "2999-01-01T00:00:00.000001Z"
    assert await shown(http, f"{KEYS}/{made['id']}") == without_key(made)
    assert '"expires_at":"2999-01-01T00:00:00.000001Z"' in (await told(AccessKeyChanged))[0].model_dump_json()


async def test_put_sets_every_field_and_patch_only_those_given_and_the_key_stays(
    http: httpx.AsyncClient, told: Told
) -> None:
    model_id = (await a_model(http))["id"]
    made = without_key(await an_access_key(http, expires_at=MUCH_LATER, model_ids=[model_id]))
    path = f"{KEYS}/{made['id']}"

    patched = (await http.patch(path, json={"name": "renamed"})).json()
    put = (await http.put(path, json={"name": "whole"})).json()

    assert patched == {**made, "name": "renamed", "version": 2, "updated_at": patched["updated_at"]}
    assert patched["updated_at"] > made["updated_at"]
    assert (put["name"], put["expires_at"], put["model_ids"]) == ("whole", None, None)
    assert "key" not in patched
    assert "key" not in put
    assert len({event.record.key_hash for event in await told(AccessKeyChanged)}) == 1
    assert len(await told(AccessKeyChanged)) == 3


async def test_a_change_that_changes_nothing_tells_nothing(http: httpx.AsyncClient, told: Told) -> None:
    model_id = (await a_model(http))["id"]
    made = without_key(await an_access_key(http, expires_at=MUCH_LATER, model_ids=[model_id]))
    path = f"{KEYS}/{made['id']}"

    answers = [
        await http.patch(path, json={"model_ids": [model_id], "expires_at": "2999-01-01T01:00:00+01:00"}),
        await http.patch(path, json={}),
        await http.put(path, json={"name": "team", "expires_at": MUCH_LATER, "model_ids": [model_id]}),
        await http.post(f"{path}/enable"),
    ]

    assert [answer.json() for answer in answers] == [made] * len(answers)
    assert len(await told(AccessKeyChanged)) == 1


async def test_disabling_and_enabling_is_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    made = await an_access_key(http)

    disabled = await http.post(f"{KEYS}/{made['id']}/disable")
    enabled = await http.post(f"{KEYS}/{made['id']}/enable")

    assert (disabled.json()["is_active"], enabled.json()["is_active"]) == (False, True)
    assert [event.record.is_active for event in await told(AccessKeyChanged)] == [True, False, True]


async def test_a_deleted_key_is_gone_and_its_name_free(http: httpx.AsyncClient, told: Told) -> None:
    made = await an_access_key(http)

    answer = await http.delete(f"{KEYS}/{made['id']}")

    assert answer.status_code == 204
    assert [event.deleted for event in await told(AccessKeyChanged)] == [False, True]
    assert (await http.get(f"{KEYS}/{made['id']}")).status_code == 404
    assert (await http.delete(f"{KEYS}/{made['id']}")).status_code == 404
    assert (await shown(http, KEYS))["items"] == []
    assert (await an_access_key(http))["name"] == made["name"]


async def test_a_name_that_is_taken_is_refused(http: httpx.AsyncClient, told: Told) -> None:
    await an_access_key(http, name="taken")
    other = await an_access_key(http, name="other")

    answers = [
        await http.post(KEYS, json={"name": "taken"}),
        await http.patch(f"{KEYS}/{other['id']}", json={"name": "taken"}),
    ]

    assert [(answer.status_code, answer.json()["code"], fields_of(answer)) for answer in answers] == [
        (409, "already_exists", ["name"])
    ] * 2
    assert len(await told(AccessKeyChanged)) == 2


async def test_an_expiry_that_has_passed_is_refused(http: httpx.AsyncClient, told: Told) -> None:
    made = await an_access_key(http)

    answers = [
        await http.post(KEYS, json={"name": "another", "expires_at": "2020-01-01T00:00:00Z"}),
        await http.patch(f"{KEYS}/{made['id']}", json={"expires_at": "2020-01-01T00:00:00Z"}),
    ]

    assert [(answer.status_code, answer.json()["code"], fields_of(answer)) for answer in answers] == [
        (422, "expiry_passed", ["expires_at"])
    ] * 2
    assert len(await told(AccessKeyChanged)) == 1


async def test_a_key_that_has_expired_can_be_renamed_and_prolonged(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    made = await an_access_key(http, expires_at=MUCH_LATER)
    connection = await asyncpg.connect(database.superuser())
    await connection.execute("UPDATE catalog.access_keys SET expires_at = '2020-01-01T00:00:00Z'")
    await connection.close()
    path = f"{KEYS}/{made['id']}"

    renamed = await http.put(path, json={"name": "renamed", "expires_at": "2020-01-01T00:00:00Z"})
    prolonged = await http.patch(path, json={"expires_at": MUCH_LATER})

    assert (renamed.status_code, renamed.json()["name"]) == (200, "renamed")
    assert (prolonged.status_code, prolonged.json()["expires_at"]) == (200, MUCH_LATER)


async def test_a_key_for_a_model_that_does_not_live_is_refused_by_its_path(http: httpx.AsyncClient, told: Told) -> None:
    model_id, deleted = (await a_model(http))["id"], (await a_model(http))["id"]
    await http.delete(f"/api/v1/models/{deleted}")
    made = await an_access_key(http)

    for dangling in (str(uuid4()), deleted):
        answers = [
            await http.post(KEYS, json={"name": "another", "model_ids": [model_id, dangling]}),
            await http.patch(f"{KEYS}/{made['id']}", json={"model_ids": [model_id, dangling]}),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"]) == (422, "dangling_reference")
            assert fields_of(answer) == ["model_ids.1"]

    assert (await shown(http, KEYS))["items"] == [without_key(made)]
    assert len(await told(AccessKeyChanged)) == 1


ID = str(uuid4())


BAD_INPUT: list[tuple[dict[str, Any], str]] = [
    ({"key": "mb-chosen-by-the-caller"}, "key"),
    ({"is_active": False}, "is_active"),
    ({"name": None}, "name"),
    ({"name": 7}, "name"),
    ({"name": "  "}, "name"),
    ({"name": "nul\x00"}, "name"),
    ({"name": "x" * 201}, "name"),
    ({"expires_at": "tomorrow"}, "expires_at"),
    ({"expires_at": "2999-01-01T00:00:00"}, "expires_at"),
    ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
    ({"expires_at": True}, "expires_at"),
    ({"model_ids": ID}, "model_ids"),
    ({"model_ids": []}, "model_ids"),
    ({"model_ids": [ID, ID]}, "model_ids"),
    ({"model_ids": [str(uuid4()) for _ in range(1001)]}, "model_ids"),
    ({"model_ids": ["gpt-4o"]}, "model_ids.0"),
    ({"model_ids": [None]}, "model_ids.0"),
]


async def test_bad_input_is_refused_by_its_field_and_changes_nothing(http: httpx.AsyncClient, told: Told) -> None:
    made = await an_access_key(http)

    for change, field in BAD_INPUT:
        answers = [
            await http.post(KEYS, json={"name": "another", **change}),
            await http.put(f"{KEYS}/{made['id']}", json={"name": "another", **change}),
            await http.patch(f"{KEYS}/{made['id']}", json=change),
        ]
        for answer in answers:
            assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "invalid_input", [field]), (
                change
            )
    assert (await shown(http, KEYS))["items"] == [without_key(made)]
    assert len(await told(AccessKeyChanged)) == 1


async def test_keys_are_listed_by_pages_and_by_name(http: httpx.AsyncClient) -> None:
    made = [without_key(await an_access_key(http, name=name)) for name in ("one", "two", "three")]

    first = await shown(http, f"{KEYS}?limit=2")
    rest = await shown(http, f"{KEYS}?limit=2&cursor={first['next_cursor']}")

    assert first["items"] + rest["items"] == made
    assert rest["next_cursor"] is None
    assert (await shown(http, f"{KEYS}?name=two"))["items"] == [made[1]]


async def test_limits_budgets_scopes_and_consumer_of_a_key_are_kept_shown_and_told(
    http: httpx.AsyncClient, told: Told
) -> None:
    consumer = (await http.post("/api/v1/consumers", json={"name": "acme", "kind": "tenant"})).json()
    model_id = (await a_model(http))["id"]
    scope = (await http.post("/api/v1/scopes", json={"name": "support", "model_ids": [model_id]})).json()
    fields = {
        "consumer_id": consumer["id"],
        "scope_ids": [scope["id"]],
        "rpm_limit": 60,
        "tpm_limit": 1000,
        "concurrency_limit": 2,
    }

    made = await an_access_key(http, **fields, budgets={"month": "10.10"})
    freed = await http.patch(f"{KEYS}/{made['id']}", json={"consumer_id": None, "scope_ids": None, "budgets": {}})

    assert {name: made[name] for name in fields} == fields
    assert made["budgets"] == {"day": None, "week": None, "month": "10.1", "total": None}
    assert (freed.json()["consumer_id"], freed.json()["scope_ids"]) == (None, None)
    before, after = (each.record for each in await told(AccessKeyChanged))
    assert (str(before.consumer_id), [str(each) for each in before.scope_ids]) == (consumer["id"], [scope["id"]])
    assert [(each.period, str(each.amount)) for each in before.budgets] == [("month", "10.1")]
    assert (after.consumer_id, after.scope_ids, after.budgets, after.rpm_limit) == (None, None, [], 60)


async def test_a_rotated_key_is_shown_once_and_the_one_before_opens_until_its_grace_is_over(
    http: httpx.AsyncClient, told: Told
) -> None:
    made = await an_access_key(http, rpm_limit=5)

    answer = await http.post(f"{KEYS}/{made['id']}/rotate")

    rotated = answer.json()
    assert rotated["key"] != made["key"]
    assert (rotated["id"], rotated["prefix"], rotated["version"]) == (made["id"], rotated["key"][:10], 2)
    grace = datetime.fromisoformat(rotated["previous_expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < grace <= timedelta(hours=24)
    assert await shown(http, f"{KEYS}/{made['id']}") == without_key(rotated)
    record = (await told(AccessKeyChanged))[-1].record
    assert record.key_hash == hashlib.sha256(rotated["key"].encode()).hexdigest()
    assert record.previous_key_hash == hashlib.sha256(made["key"].encode()).hexdigest()
    assert (record.previous_expires_at.isoformat().replace("+00:00", "Z"), record.rpm_limit) == (
        rotated["previous_expires_at"],
        5,
    )


async def test_a_rotation_without_grace_ends_every_earlier_key_at_once(http: httpx.AsyncClient, told: Told) -> None:
    path = f"{KEYS}/{(await an_access_key(http))['id']}/rotate"

    await http.post(path, json={"grace_s": 60})
    last = await http.post(path, json={"grace_s": 0})

    assert last.json()["previous_expires_at"] is None
    record = (await told(AccessKeyChanged))[-1].record
    assert record.key_hash == hashlib.sha256(last.json()["key"].encode()).hexdigest()
    assert (record.previous_key_hash, record.previous_expires_at) == (None, None)


async def test_a_second_rotation_within_the_grace_is_refused_as_somebody_still_uses_the_first_key(
    http: httpx.AsyncClient, told: Told
) -> None:
    path = f"{KEYS}/{(await an_access_key(http))['id']}/rotate"

    answers = await asyncio.gather(*(http.post(path, json={"grace_s": 60}) for _ in range(4)))

    assert sorted(each.status_code for each in answers) == [200, 409, 409, 409]
    refused = next(each for each in answers if each.status_code == 409)
    assert (refused.json()["code"], fields_of(refused)) == ("rotation_under_way", ["grace_s"])
    assert len(await told(AccessKeyChanged)) == 2


async def test_two_rotations_without_grace_at_once_leave_one_key(http: httpx.AsyncClient, told: Told) -> None:
    path = f"{KEYS}/{(await an_access_key(http))['id']}/rotate"

    answers = await asyncio.gather(*(http.post(path, json={"grace_s": 0}) for _ in range(4)))

    last = max((each.json() for each in answers), key=lambda each: each["version"])
    record = (await told(AccessKeyChanged))[-1].record
    assert [each.status_code for each in answers] == [200] * 4
    assert record.key_hash == hashlib.sha256(last["key"].encode()).hexdigest()


async def test_rotating_and_deleting_at_once_end_in_a_deleted_key(http: httpx.AsyncClient, told: Told) -> None:
    for number in range(6):
        path = f"{KEYS}/{(await an_access_key(http, name=str(number)))['id']}"
        rotated, deleted = await asyncio.gather(http.post(f"{path}/rotate"), http.delete(path))
        assert (rotated.status_code in {200, 404}, deleted.status_code) == (True, 204)
        assert (await told(AccessKeyChanged))[-1].deleted


async def test_a_rotation_repeated_with_its_idempotency_key_shows_the_same_key(http: httpx.AsyncClient) -> None:
    path = f"{KEYS}/{(await an_access_key(http))['id']}/rotate"
    headers = {"Idempotency-Key": "rotate-once"}

    answers = [await http.post(path, headers=headers) for _ in range(2)]

    assert answers[0].json()["key"] == answers[1].json()["key"]


@pytest.mark.parametrize("grace_s", [-1, 2_592_001, "a day", None])
async def test_a_grace_that_can_not_be_is_refused(http: httpx.AsyncClient, grace_s: Any) -> None:
    made = await an_access_key(http)

    answer = await http.post(f"{KEYS}/{made['id']}/rotate", json={"grace_s": grace_s})

    assert (answer.status_code, fields_of(answer)) == (422, ["grace_s"])


async def test_a_grace_that_is_over_ends_by_the_clock_and_is_told(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    made, other = await an_access_key(http), await an_access_key(http, name="other")
    for each in (made, other):
        await http.post(f"{KEYS}/{each['id']}/rotate")
    connection = await asyncpg.connect(database.superuser())
    passed = (
        "UPDATE catalog.access_keys SET previous_expires_at = now() - interval '1 second' WHERE id = $1::text::uuid"
    )
    await connection.execute(passed, made["id"])
    await connection.close()

    async def is_over() -> bool:
        return (await shown(http, f"{KEYS}/{made['id']}"))["previous_expires_at"] is None

    await eventually(is_over)
    last = (await told(AccessKeyChanged))[-1].record
    assert (str(last.id), last.previous_key_hash, last.previous_expires_at) == (made["id"], None, None)
    assert (await shown(http, f"{KEYS}/{made['id']}"))["version"] == 2
    assert (await shown(http, f"{KEYS}/{other['id']}"))["previous_expires_at"] is not None


async def test_keys_are_found_by_each_filter(http: httpx.AsyncClient) -> None:
    consumer = (await http.post("/api/v1/consumers", json={"name": "acme", "kind": "tenant"})).json()
    model_id = (await a_model(http))["id"]
    one = await an_access_key(http, name="one", consumer_id=consumer["id"], model_ids=[model_id])
    two = await an_access_key(http, name="two", expires_at=MUCH_LATER)
    await http.post(f"{KEYS}/{two['id']}/disable")

    async def names(**query: str) -> list[str]:
        answer = await http.get(KEYS, params=query)
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["items"]]

    assert await names(consumer_id=consumer["id"]) == ["one"]
    assert await names(is_active="false") == ["two"]
    assert await names(search="WO") == ["two"]
    assert await names(search=one["prefix"]) == ["one"]
    assert await names(model_id=model_id) == ["one", "two"]
    assert await names(model_id=ID) == ["two"]
    assert await names(scope_id=ID) == ["one", "two"]
    assert await names(has_stale="true") == ["one"]
    assert await names(expires_before="2999-01-01T00:00:01Z") == ["two"]
    assert await names(expires_before="2999-01-01T00:00:00Z") == []
    assert await names(sort="-name") == ["two", "one"]
