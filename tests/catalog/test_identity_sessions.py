"""Signing in gives a session that is refreshed, ends when it should, and can't be forged."""

import asyncio
import base64
import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from catalog.forgeries import decoded, encoded, hs256, unsigned
from catalog.people import (
    LOGIN,
    ME,
    PASSWORD,
    REFRESH,
    USERS,
    a_session,
    a_user,
    audited,
    bearer,
    run_sql,
    shows,
    shut_out,
    sign_in,
)
from catalogs import settings_for
from modelbus.catalog.app import create_app
from modelbus.chassis.secrets import Vault
from running import ADMIN_TOKEN, MASTER_KEY, serving
from servers import FreshDatabase

Json = dict[str, Any]


async def refreshed(http: httpx.AsyncClient, session: Json) -> httpx.Response:
    body = {"refresh_token": session["refresh_token"]}
    return await http.post(REFRESH, json=body, headers={"Authorization": ""})


async def test_who_knows_the_password_gets_a_session_that_says_who_it_is(http: httpx.AsyncClient) -> None:
    user = await a_user(http, name="Ada", role="editor", display_name="Ada L.")

    answer = await sign_in(http, " ADA ")

    session = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (session["token_type"], session["expires_in"], session["user"]) == ("Bearer", 600, user)
    me = (await http.get(ME, headers=shows(session))).json()
    assert me == {"id": user["id"], "name": "ada", "role": "editor", "means": "session"}


async def test_the_static_administrator_is_nobody_in_particular(http: httpx.AsyncClient) -> None:
    me = (await http.get(ME)).json()

    assert me == {"id": None, "name": "administrator", "role": "admin", "means": "static"}


@pytest.mark.parametrize(("name", "password"), [("ada", "wrong password"), ("nobody-here", PASSWORD)])
async def test_a_wrong_name_and_a_wrong_password_are_refused_alike(
    http: httpx.AsyncClient, database: FreshDatabase, name: str, password: str
) -> None:
    await a_user(http, name="ada")

    answer = await sign_in(http, name, password)

    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_refused")
    assert answer.json()["detail"] == "the name or the password is wrong, or the user may not sign in"
    [line] = await audited(database)
    assert line["action"] == f"POST {LOGIN}"
    assert line["caller_name"] == ("ada" if name == "ada" else "nobody")
    assert line["detail"] == {"reason": "wrong_password", "address": "127.0.0.1"}


async def test_a_disabled_user_can_not_sign_in_and_is_signed_out(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    session = await a_session(http)
    user = session["user"]

    await http.patch(f"{USERS}/{user['id']}", json={"is_active": False})

    await shut_out(http, shows(session))
    assert (await refreshed(http, session)).status_code == 401
    assert (await sign_in(http, user["name"])).json()["code"] == "sign_in_refused"
    assert [line["detail"]["reason"] for line in await audited(database)] == ["user_disabled"]
    await http.patch(f"{USERS}/{user['id']}", json={"is_active": True})
    assert (await http.get(ME, headers=shows(session))).status_code == 401
    assert (await sign_in(http, user["name"])).status_code == 200


async def test_a_deleted_user_is_signed_out(http: httpx.AsyncClient) -> None:
    session = await a_session(http)

    await http.delete(f"{USERS}/{session['user']['id']}")

    await shut_out(http, shows(session))
    assert (await refreshed(http, session)).status_code == 401
    assert (await sign_in(http, session["user"]["name"])).status_code == 401


async def test_a_role_that_is_lowered_holds_for_sessions_that_have_begun(http: httpx.AsyncClient) -> None:
    session = await a_session(http, role="editor")
    await http.get(ME, headers=shows(session))

    await http.patch(f"{USERS}/{session['user']['id']}", json={"role": "viewer"})

    deadline = time.monotonic() + 5
    while (me := (await http.get(ME, headers=shows(session))).json())["role"] != "viewer":
        assert time.monotonic() < deadline, me
    assert (await http.post("/api/v1/suppliers", json={}, headers=shows(session))).status_code == 403


async def test_signing_out_ends_this_session_and_no_other(http: httpx.AsyncClient) -> None:
    one = await a_session(http)
    other = (await sign_in(http, one["user"]["name"])).json()

    answer = await http.post("/api/v1/auth/logout", headers=shows(one))

    assert answer.status_code == 204
    await shut_out(http, shows(one))
    assert (await refreshed(http, one)).json()["code"] == "session_over"
    assert (await http.get(ME, headers=shows(other))).status_code == 200


async def test_a_new_password_ends_every_session_of_the_user(http: httpx.AsyncClient) -> None:
    session = await a_session(http)
    user = session["user"]
    path, new = f"{USERS}/{user['id']}/password", "an entirely other phrase"

    wrong = await http.put(path, json={"password": new, "current_password": "a guess"}, headers=shows(session))
    without = await http.put(path, json={"password": new}, headers=shows(session))
    right = await http.put(path, json={"password": new, "current_password": PASSWORD}, headers=shows(session))

    assert [(each.status_code, each.json()["code"]) for each in (wrong, without)] == [(403, "wrong_password")] * 2
    assert right.status_code == 204
    await shut_out(http, shows(session))
    assert (await refreshed(http, session)).status_code == 401
    assert (await sign_in(http, user["name"])).status_code == 401
    assert (await sign_in(http, user["name"], new)).status_code == 200


async def test_an_admin_can_sign_somebody_out_everywhere_and_others_only_themselves(http: httpx.AsyncClient) -> None:
    one, other = await a_session(http), await a_session(http)

    refused = await http.delete(f"{USERS}/{one['user']['id']}/sessions", headers=shows(other))
    own = await http.delete(f"{USERS}/{other['user']['id']}/sessions", headers=shows(other))
    by_admin = await http.delete(f"{USERS}/{one['user']['id']}/sessions")

    assert (refused.status_code, own.status_code, by_admin.status_code) == (403, 204, 204)
    await shut_out(http, shows(one))
    await shut_out(http, shows(other))


async def test_a_refresh_gives_the_next_pair_and_the_session_its_own_end(http: httpx.AsyncClient) -> None:
    first = await a_session(http)

    second = (await refreshed(http, first)).json()
    third = (await refreshed(http, second)).json()

    assert len({each["refresh_token"] for each in (first, second, third)}) == 3
    assert first["session_expires_at"] == second["session_expires_at"] == third["session_expires_at"]
    assert (await http.get(ME, headers=shows(third))).json()["id"] == first["user"]["id"]


async def test_a_refresh_token_that_comes_again_ends_the_session_for_everybody(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    first = await a_session(http)
    second = (await refreshed(http, first)).json()

    again = await refreshed(http, first)

    assert (again.status_code, again.json()["code"]) == (401, "session_over")
    assert (await refreshed(http, second)).status_code == 401
    await shut_out(http, shows(second))
    [line] = await audited(database)
    assert (line["caller_name"], line["detail"]["reason"]) == (first["user"]["name"], "refresh_token_reused")


async def test_of_equal_refreshes_at_once_one_at_most_succeeds_and_the_session_is_over(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    first = await a_session(http)

    answers = await asyncio.gather(*(refreshed(http, first) for _ in range(8)))

    won = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    assert (await refreshed(http, won[0])).status_code == 401
    await shut_out(http, shows(won[0]))
    assert [line["detail"]["reason"] for line in await audited(database)] == ["refresh_token_reused"]


async def test_a_session_ends_by_its_age(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    session = await a_session(http)
    await http.get(ME, headers=shows(session))

    await run_sql(database, "UPDATE catalog.sessions SET expires_at = now() - interval '1 second'")

    await shut_out(http, shows(session))
    assert (await refreshed(http, session)).status_code == 401


@pytest.mark.parametrize("token", ["", "mbr-unknown", "x" * 5000, "nul\x00"])
async def test_what_is_no_refresh_token_is_refused(http: httpx.AsyncClient, token: str) -> None:
    answer = await http.post(REFRESH, json={"refresh_token": token})

    assert answer.status_code in {401, 422}


async def the_key(database: FreshDatabase) -> tuple[str, ECKey]:
    [row] = await run_sql(database, "SELECT id, sealed FROM catalog.signing_keys WHERE retired_at IS NULL")
    return str(row["id"]), ECKey.import_key(Vault(MASTER_KEY).open(row["sealed"]))


def said_by(session: Json) -> Json:
    return decoded(session["access_token"].split(".")[1])


async def test_a_token_says_whose_it_is_and_for_whom(http: httpx.AsyncClient) -> None:
    session = await a_session(http, role="editor")

    said = said_by(session)

    assert (said["iss"], said["aud"], said["sub"]) == ("modelbus-catalog", "modelbus", session["user"]["id"])
    assert (said["name"], said["role"], said["exp"] - said["iat"]) == (session["user"]["name"], "editor", 600)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"exp": 1_000_000_000}, 401),
        ({"nbf": 9_000_000_000}, 401),
        ({"iat": 9_000_000_000}, 401),
        ({"aud": "somebody-else"}, 401),
        ({"aud": None}, 401),
        ({"iss": "https://issuer.example"}, 401),
        ({"sid": str(uuid4())}, 401),
        ({"sid": None}, 401),
        ({"sub": str(uuid4())}, 401),
        ({"exp": None}, 401),
        ({"exp": "tomorrow"}, 401),
        ({"exp": float("nan")}, 401),
    ],
)
async def test_a_token_that_is_not_of_now_or_not_for_us_is_refused_however_it_is_signed(
    http: httpx.AsyncClient, database: FreshDatabase, change: Json, status: int
) -> None:
    session = await a_session(http)
    key_id, key = await the_key(database)
    claims = {name: value for name, value in {**said_by(session), **change}.items() if value is not None}
    forged = jwt.encode({"alg": "ES256", "kid": key_id, "typ": "at+jwt"}, claims, key)

    assert (await http.get(ME, headers=bearer(forged))).status_code == status


async def test_a_token_that_we_have_not_signed_is_refused_whatever_it_says_of_itself(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    session = await a_session(http, role="admin")
    key_id, key = await the_key(database)
    claims, header = said_by(session), {"kid": key_id, "typ": "at+jwt"}
    public = key.public_key
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    head, payload, signature = session["access_token"].split(".")
    stranger = ECKey.generate_key("P-256", private=True)

    forged = {
        "none": unsigned(header, claims),
        "None": unsigned(header, claims, "None"),
        "no algorithm": f"{encoded(header)}.{payload}.{signature}",
        "an algorithm that is a list": f"{encoded({**header, 'alg': ['ES256']})}.{payload}.{signature}",
        "the public key as a secret": hs256(header, claims, pem),
        "the public key as a secret, in DER": hs256(header, claims, der),
        "the public point as a secret": hs256(header, claims, json.dumps(key.as_dict(private=False)).encode()),
        "another's key": jwt.encode({**header, "alg": "ES256"}, claims, stranger),
        "a key of its own": jwt.encode(
            {**header, "alg": "ES256", "jwk": stranger.as_dict(private=False)}, claims, stranger
        ),
        "no key": jwt.encode({"alg": "ES256", "typ": "at+jwt"}, claims, key),
        "an unknown key": jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": str(uuid4())}, claims, key),
        "no key's name": jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": "../../etc/passwd"}, claims, key),
        "another type": jwt.encode({"alg": "ES256", "typ": "JWT", "kid": key_id}, claims, key),
        "other claims": f"{head}.{encoded({**claims, 'role': 'admin', 'sub': str(uuid4())})}.{signature}",
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "no token": "a.b.c",
        "deep": f"{encoded({'alg': 'ES256'})}.{base64.urlsafe_b64encode(b'[' * 9000).decode()}.{signature}",
        "not ASCII": "käse.käse.käse",
    }

    for how, token in forged.items():
        answer = await http.get(ME, headers={b"Authorization": f"Bearer {token}".encode()})
        assert (answer.status_code, how) == (401, how)
    assert (await http.get(ME, headers=shows(session))).status_code == 200


async def test_the_static_administrator_can_be_switched_off(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    session = await a_session(http, role="admin")
    token = (await http.post("/api/v1/auth/tokens", json={"name": "ci", "role": "admin"})).json()["token"]
    settings = settings_for(database, "nats://127.0.0.1:9", admin_token_accepted=False)

    async with serving(create_app(settings)) as url, httpx.AsyncClient(base_url=url, timeout=20) as other:
        assert (await other.get(ME, headers=bearer(ADMIN_TOKEN))).status_code == 401
        assert (await other.get(ME, headers=bearer(token))).status_code == 401
        assert (await other.get(ME, headers=shows(session))).status_code == 200
