"""Users are made, changed and deleted by admins, and nobody gives away more than they have."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from builders import shown
from catalog.commands import command
from catalog.people import PASSWORD, TOKENS, USERS, a_session, a_user, bearer, run_sql, shows, sign_in
from catalog.refusals import fields_of
from servers import FreshDatabase

Json = dict[str, Any]


async def test_users_are_made_shown_changed_and_deleted(http: httpx.AsyncClient) -> None:
    made = await a_user(http, name="ada", role="editor")
    path = f"{USERS}/{made['id']}"

    changed = (await http.patch(path, json={"display_name": "Ada L.", "role": "viewer"})).json()
    same = (await http.patch(path, json={"role": "viewer"})).json()

    assert (made["name"], made["role"], made["is_active"], made["issuer"]) == ("ada", "editor", True, None)
    assert (changed["display_name"], changed["role"], changed["version"]) == ("Ada L.", "viewer", 2)
    assert same == changed == await shown(http, path)
    assert (await http.delete(path)).status_code == 204
    assert (await http.get(path)).status_code == 404
    assert (await a_user(http, name="ada"))["id"] != made["id"]


async def test_users_are_listed_by_pages_by_name_and_by_role(http: httpx.AsyncClient) -> None:
    made = [
        await a_user(http, name=name, role=role) for name, role in (("a", "admin"), ("b", "viewer"), ("c", "admin"))
    ]

    first = await shown(http, f"{USERS}?limit=2")
    rest = await shown(http, f"{USERS}?limit=2&cursor={first['next_cursor']}")

    assert first["items"] + rest["items"] == made
    assert (await shown(http, f"{USERS}?name=b"))["items"] == [made[1]]
    assert (await shown(http, f"{USERS}?role=admin"))["items"] == [made[0], made[2]]


async def test_a_change_of_yesterdays_version_is_refused(http: httpx.AsyncClient) -> None:
    made = await a_user(http)
    path = f"{USERS}/{made['id']}"
    await http.patch(path, json={"role": "editor"})

    answer = await http.patch(path, json={"role": "admin"}, headers={"If-Match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile")
    assert (await shown(http, path))["role"] == "editor"


async def test_a_name_is_one_users_whatever_its_case(http: httpx.AsyncClient) -> None:
    await a_user(http, name="ada")

    answers = await asyncio.gather(
        *(http.post(USERS, json={"name": "ADA", "role": "viewer", "password": PASSWORD}) for _ in range(3))
    )

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(409, "already_exists")] * 3


async def test_a_repeated_request_makes_one_user(http: httpx.AsyncClient) -> None:
    body = {"name": "ada", "role": "viewer", "password": PASSWORD}

    answers = [await http.post(USERS, json=body, headers={"Idempotency-Key": "once"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert len((await shown(http, USERS))["items"]) == 1


BAD_INPUT: list[tuple[Json, str]] = [
    ({"name": ""}, "name"),
    ({"name": "two words"}, "name"),
    ({"name": "nul\x00"}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"name": "administrator"}, "name"),
    ({"name": "Service"}, "name"),
    ({"name": None}, "name"),
    ({"role": "owner"}, "role"),
    ({"role": "service"}, "role"),
    ({"role": "system"}, "role"),
    ({"role": None}, "role"),
    ({"password": "eleven char"}, "password"),
    ({"password": "x" * 257}, "password"),
    ({"password": "aaaaaaaaaaaaaaaa"}, "password"),
    ({"password": "me-the-user-and-more"}, "password"),
    ({"password": None}, "password"),
    ({"display_name": "x" * 201}, "display_name"),
    ({"is_active": "perhaps"}, "is_active"),
    ({"password_hash": "$argon2id$"}, "password_hash"),
    ({"issuer": "https://issuer.example"}, "issuer"),
]


@pytest.mark.parametrize(("change", "field"), BAD_INPUT, ids=lambda value: str(value)[:40])
async def test_a_user_that_can_not_be_is_refused_by_its_field(
    http: httpx.AsyncClient, change: Json, field: str
) -> None:
    answer = await http.post(USERS, json={"name": "me-the-user", "role": "viewer", "password": PASSWORD, **change})

    assert (answer.status_code, fields_of(answer)) == (422, [field])
    assert (await shown(http, USERS))["items"] == []


async def test_a_password_that_is_guessed_first_can_not_be_chosen_later_either(http: httpx.AsyncClient) -> None:
    user = await a_user(http, name="me-the-user")

    answer = await http.put(f"{USERS}/{user['id']}/password", json={"password": "me-the-user-and-more"})

    assert (answer.status_code, answer.json()["code"]) == (422, "password_refused")
    assert (await sign_in(http, "me-the-user")).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_who_is_no_admin_reaches_no_user_but_their_own_password(http: httpx.AsyncClient, role: str) -> None:
    session, other = await a_session(http, role=role), await a_user(http)
    own, path = f"{USERS}/{session['user']['id']}", f"{USERS}/{other['id']}"
    new = {"password": "an entirely other phrase", "current_password": PASSWORD}

    answers = [
        await http.get(USERS, headers=shows(session)),
        await http.post(USERS, json={"name": "x", "role": "admin", "password": PASSWORD}, headers=shows(session)),
        await http.patch(own, json={"role": "admin"}, headers=shows(session)),
        await http.patch(path, json={"is_active": False}, headers=shows(session)),
        await http.delete(path, headers=shows(session)),
        await http.put(f"{path}/password", json=new, headers=shows(session)),
        await http.delete(f"{path}/sessions", headers=shows(session)),
        await http.post("/api/v1/auth/signing-keys", headers=shows(session)),
    ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(403, "forbidden")] * len(answers)
    assert (await shown(http, own))["role"] == role
    assert (await http.put(f"{own}/password", json=new, headers=shows(session))).status_code == 204


async def test_an_admins_token_of_a_lower_role_makes_no_admin(http: httpx.AsyncClient) -> None:
    session = await a_session(http, role="admin")
    body = {"name": "ci", "role": "editor"}
    token = (await http.post(TOKENS, json=body, headers=shows(session))).json()["token"]

    answer = await http.post(USERS, json={"name": "x", "role": "admin", "password": PASSWORD}, headers=bearer(token))

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_the_last_active_admin_stays_one(http: httpx.AsyncClient) -> None:
    one, other = await a_user(http, role="admin"), await a_user(http, role="admin")
    path = f"{USERS}/{one['id']}"
    await http.patch(f"{USERS}/{other['id']}", json={"is_active": False})

    answers = [
        await http.patch(path, json={"role": "editor"}),
        await http.patch(path, json={"is_active": False}),
        await http.patch(path, json={"is_active": False, "role": "admin"}),
        await http.delete(path),
    ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(409, "last_admin")] * 4
    assert await shown(http, path) == one
    await http.patch(f"{USERS}/{other['id']}", json={"is_active": True})
    assert (await http.delete(path)).status_code == 204


async def test_admins_who_take_the_role_from_one_another_at_once_leave_one(http: httpx.AsyncClient) -> None:
    sessions = [await a_session(http, role="admin") for _ in range(4)]

    answers = await asyncio.gather(
        *(
            http.patch(f"{USERS}/{after['user']['id']}", json={"role": "viewer"}, headers=shows(one))
            for one, after in zip(sessions, [*sessions[1:], sessions[0]], strict=True)
        )
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert set(statuses) <= {200, 409}
    left = (await shown(http, f"{USERS}?role=admin"))["items"]
    assert len(left) == 4 - statuses.count(200) >= 1


async def test_what_changed_of_a_user_is_kept_without_the_password(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    user = await a_user(http, name="ada")
    await http.patch(f"{USERS}/{user['id']}", json={"role": "editor"})
    await http.put(f"{USERS}/{user['id']}/password", json={"password": "an entirely other phrase"})

    rows = await run_sql(
        database, "SELECT changed::text, caller_name FROM catalog.versions WHERE kind = 'user' ORDER BY number"
    )
    actions = await run_sql(database, "SELECT action, outcome FROM catalog.audit ORDER BY id")
    told = await run_sql(database, "SELECT count(*) FROM catalog.outbox")

    assert '"role": ["viewer", "editor"]' in rows[1]["changed"]
    assert "argon2" not in str(rows)
    assert [(row["action"], row["outcome"]) for row in actions] == [
        ("POST /api/v1/users", "done"),
        ("PATCH /api/v1/users/{user_id}", "done"),
        ("PUT /api/v1/users/{user_id}/password", "done"),
    ]
    assert told[0][0] == 0


async def test_a_user_who_is_not_there_is_not_found(http: httpx.AsyncClient) -> None:
    path = f"{USERS}/{uuid4()}"

    answers = [
        await http.get(path),
        await http.patch(path, json={"role": "admin"}),
        await http.delete(path),
        await http.put(f"{path}/password", json={"password": PASSWORD}),
        await http.delete(f"{path}/sessions"),
    ]

    assert {answer.status_code for answer in answers} == {404}


async def test_the_first_admin_is_made_by_a_command_that_takes_no_password_as_an_argument(
    http: httpx.AsyncClient, database: FreshDatabase, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    create_admin = partial(command, database, "create-admin", master_keys=None)

    by_input = await create_admin("Ada", said=f"{PASSWORD}\n")
    by_file = await create_admin("grace", "--password-file", str(tmp_path / "password"))
    again = await create_admin("ada", said=f"{PASSWORD}\n")
    easy = await create_admin("linus", said="short\n")
    odd = await create_admin("two words", said=f"{PASSWORD}\n")

    assert [code for code, _ in (by_input, by_file, again, easy, odd)] == [0, 0, 2, 2, 2]
    assert PASSWORD not in str([by_input, by_file, again, easy, odd])
    assert "exists already" in again[1]
    assert "Traceback" not in again[1] + easy[1] + odd[1]
    for name in ("ada", "grace"):
        assert (await sign_in(http, name)).json()["user"]["role"] == "admin"
