import hashlib
import re
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from builders import a_model, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.contracts.catalog import AccessKeyChanged
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
