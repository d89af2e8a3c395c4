"""The keys that sign sessions: sealed at rest, public for whoever verifies, and taken over from without a gap."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from builders import shown
from catalog.commands import command
from catalog.people import ME, REFRESH, a_session, a_user, audited, run_sql, shows, shut_out, sign_in
from catalogs import settings_for
from modelbus.catalog.app import create_app
from modelbus.chassis.secrets import Vault
from running import MASTER_KEY, eventually, serving
from servers import FreshDatabase

JWKS = "/api/v1/auth/jwks"
KEYS = "/api/v1/auth/signing-keys"
NEW_MASTER_KEY = "qLcGyMnNsNDoiQc9ocBAxc_7W5GkHzBGbGPZd3vRzyI="

Json = dict[str, Any]


@asynccontextmanager
async def a_replica(database: FreshDatabase, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings_for(database, "nats://127.0.0.1:9", **settings))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as client:
        yield client


def verified(session: Json, jwks: Json) -> Json:
    """Verify as another service would, with what is published alone."""
    claims = jwt.decode(
        session["access_token"], KeySet([ECKey.import_key(key) for key in jwks["keys"]]), algorithms=["ES256"]
    ).claims
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": "modelbus-catalog"}, aud={"essential": True, "value": "modelbus"}
    )
    rules.validate(claims)
    return claims


async def kids(http: httpx.AsyncClient) -> list[str]:
    return [key["kid"] for key in (await http.get(JWKS)).json()["keys"]]


async def test_anybody_can_verify_a_session_by_the_public_keys(http: httpx.AsyncClient) -> None:
    session = await a_session(http, role="editor")

    published = await http.get(JWKS, headers={"Authorization": ""})

    assert published.headers["cache-control"] == "public, max-age=60"
    assert verified(session, published.json())["role"] == "editor"
    assert {frozenset(key) for key in published.json()["keys"]} == {
        frozenset({"kty", "crv", "x", "y", "kid", "use", "alg"})
    }


async def test_a_private_key_is_kept_sealed_and_never_shown(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    await a_session(http)
    await http.post(KEYS)

    rows = await run_sql(database, "SELECT sealed, t::text AS whole FROM catalog.signing_keys t")
    answers = [(await http.get(path)).text for path in (KEYS, JWKS)]

    assert len(rows) == 2
    for row in rows:
        private = Vault(MASTER_KEY).open(row["sealed"])
        assert "PRIVATE KEY" in private
        secret = private.splitlines()[1]
        assert secret not in row["whole"] + str(answers)
    assert "sealed" not in str(answers)


async def test_a_new_key_signs_and_the_one_before_verifies_until_its_tokens_are_over(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    before = await a_session(http)
    [old] = await kids(http)

    made = await http.post(KEYS)

    new = made.json()["id"]
    assert made.status_code == 201
    listed = (await shown(http, KEYS))["items"]
    assert [(key["id"], key["retired_at"] is None) for key in listed] == [(new, True), (old, False)]
    assert (await http.get(ME, headers=shows(before))).status_code == 200

    async def both() -> bool:
        return await kids(http) == [new, old]

    await eventually(both)
    assert verified(before, (await http.get(JWKS)).json())

    async def is_signed_by_the_new() -> bool:
        session = (await sign_in(http, before["user"]["name"])).json()
        return bool(verified(session, {"keys": [k for k in (await http.get(JWKS)).json()["keys"] if k["kid"] == new]}))

    await eventually(lambda: _holds(is_signed_by_the_new()))
    statement = "UPDATE catalog.signing_keys SET retired_at = retired_at - interval '12 minutes' WHERE id = $1::uuid"
    await run_sql(database, statement, old)
    await shut_out(http, shows(before))

    async def one() -> bool:
        return await kids(http) == [new]

    await eventually(one)


async def _holds(claim: Any) -> bool:
    try:
        return bool(await claim)
    except (JoseError, ValueError):
        return False


async def test_a_replica_verifies_at_once_what_another_has_signed_with_a_new_key(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    user = await a_user(http)
    async with a_replica(database) as replica:
        assert (await replica.get(JWKS)).status_code == 200
        first = (await sign_in(http, user["name"])).json()
        assert (await replica.get(ME, headers=shows(first))).status_code == 200
        await http.post(KEYS)

        async def is_verified() -> bool:
            session = (await sign_in(http, user["name"])).json()
            new = session["access_token"].split(".")[0] != first["access_token"].split(".")[0]
            answer = await replica.get(ME, headers=shows(session))
            assert not new or answer.status_code in {200, 401}
            return new and answer.status_code == 200

        await eventually(is_verified)


async def test_of_keys_that_are_made_at_once_one_signs(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.post(KEYS) for _ in range(6)))

    assert {answer.status_code for answer in answers} == {201}
    assert [key["retired_at"] is None for key in (await shown(http, KEYS))["items"]].count(True) == 1


async def test_replicas_that_start_together_make_one_key(database: FreshDatabase) -> None:
    async with a_replica(database) as one, a_replica(database) as other, a_replica(database) as third:

        async def agree() -> bool:
            told = [await kids(each) for each in (one, other, third)]
            return len(told[0]) == 1 and told[0] == told[1] == told[2]

        await eventually(agree)


async def test_an_old_key_gives_way_by_the_clock(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    session = await a_session(http)
    await run_sql(database, "UPDATE catalog.signing_keys SET created_at = created_at - interval '31 days'")

    async with a_replica(database) as replica:

        async def is_new() -> bool:
            return len(await kids(replica)) == 2

        await eventually(is_new)
        assert (await replica.get(ME, headers=shows(session))).status_code == 200


async def test_a_key_that_has_leaked_is_withdrawn_and_what_it_signed_refused(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    session = await a_session(http)
    [old] = await kids(http)

    in_use = await http.delete(f"{KEYS}/{old}")
    await http.post(KEYS)
    withdrawn = await http.delete(f"{KEYS}/{old}")
    again = await http.delete(f"{KEYS}/{old}")

    assert [(each.status_code) for each in (in_use, withdrawn, again)] == [409, 204, 404]
    assert in_use.json()["code"] == "key_in_use"

    async def is_refused() -> bool:
        return (await http.get(ME, headers=shows(session))).status_code == 401

    await eventually(is_refused)
    refreshed = await http.post(REFRESH, json={"refresh_token": session["refresh_token"]})
    assert (await http.get(ME, headers=shows(refreshed.json()))).status_code == 200
    assert old in [line["detail"].get("key") for line in await audited(database, "done")]


async def test_signing_keys_are_sealed_anew_with_the_credentials(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    session = await a_session(http)

    code, said = await command(database, "reseal", master_keys=f"{NEW_MASTER_KEY},{MASTER_KEY}")

    assert code == 0, said
    async with a_replica(database, master_keys=NEW_MASTER_KEY) as replica:
        assert (await replica.get(ME, headers=shows(session))).status_code == 200
        again = (await sign_in(replica, session["user"]["name"])).json()
        assert again["access_token"].split(".")[0] == session["access_token"].split(".")[0]


async def test_with_the_master_key_lost_a_new_signing_key_is_made(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    user = await a_user(http)
    first = (await sign_in(http, user["name"])).json()

    async with a_replica(database, master_keys=NEW_MASTER_KEY) as replica:
        session = (await sign_in(replica, user["name"])).json()

        assert session["access_token"].split(".")[0] != first["access_token"].split(".")[0]
        assert (await replica.get(ME, headers=shows(session))).status_code == 200
