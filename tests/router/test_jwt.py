"""Signed tokens in the place of access keys: whose are taken, whom they let in, and what is not believed."""

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, RSAKey
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from modelbus.chassis.ids import new_id
from modelbus.contracts.routing import ScopeRecord
from modelbus.router.domain.errors import IssuerAwayError, KeyRefusedError
from modelbus.router.ingress import issuer_keys
from modelbus.router.ingress.issuer_keys import SharedSecret
from modelbus.router.ingress.tokens import TokenRules, Tokens
from router.routers import PROMPT, RunningRouter, router_settings, running_router
from router.test_limits import a_consumer
from router.test_usage import listening
from router.world import World
from running import serving
from testing_bus import LocalBus

ISSUER, AUDIENCE = "https://issuer.test", "modelbus"
SECRET = "a-secret-of-more-than-32-characters"
RSA, OTHER_RSA = RSAKey.generate_key(2048), RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
SHARED = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_secret": SECRET}


def claims(**changed: Any) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "acme", "exp": int(time.time()) + 300}
    return {name: value for name, value in (usual | changed).items() if value is not None}


def token(key: Key | None = None, algorithm: str = "HS256", kid: str | None = None, **changed: Any) -> str:
    header = {"alg": algorithm} | ({"kid": kid} if kid else {})
    signed: str = jwt.encode(header, claims(**changed), key or OctKey.import_key(SECRET), algorithms=[algorithm])
    return signed


async def ask(router: RunningRouter, shown: str, header: str = "Authorization") -> httpx.Response:
    value = shown if header == "x-api-key" else f"Bearer {shown}"
    async with httpx.AsyncClient(base_url=router.url, timeout=20) as http:
        return await http.post("/v1/chat/completions", json=PROMPT, headers={header: value})


@dataclass(slots=True)
class Issuer:
    """Publishes keys, counts how often it was asked, and may be out of order."""

    keys: dict[str, Key] = field(default_factory=dict)
    asked: int = 0
    answer: Response | None = None
    url: str = ""

    async def publish(self, _request: Request) -> Response:
        self.asked += 1
        keys = [{**key.as_dict(private=False), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]
        # What is no key for signatures, or none that anybody knows, is left out.
        others = [{"kty": "RSA", "use": "enc", "kid": "1"}, {"kty": "new"}, {"kty": "RSA", "n": "!"}]
        others += [{"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"}, {"kty": "OKP", "crv": "?", "x": "AA"}]
        return self.answer or JSONResponse({"keys": [*others, *keys]})

    @property
    def settings(self) -> dict[str, Any]:
        return {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_jwks_url": f"{self.url}/keys"}


@asynccontextmanager
async def an_issuer(**keys: Key) -> AsyncIterator[Issuer]:
    issuer = Issuer(dict(keys))
    async with serving(Starlette(routes=[Route("/keys", issuer.publish)])) as url:
        issuer.url = url
        yield issuer


async def test_a_token_lets_its_consumer_in_wherever_a_key_may_be_shown(
    world: World, tmp_path: Path, bus: LocalBus
) -> None:
    consumer = a_consumer(world.seed)
    async with (
        listening(bus) as listener,
        running_router(tmp_path, world.seed, nats_url=bus.url, **SHARED) as router,
    ):
        answers = [await ask(router, token()), await ask(router, token(), "x-api-key")]
        by_key = await router.complete()
        headers = {"Authorization": f"Bearer {token()}"}
        listed = await router.http.get("/v1/models", headers=headers)
        explained = await router.http.post("/api/v1/explain", json=PROMPT, headers=headers)
        operators = [await router.http.get(f"/api/v1/{path}", headers=headers) for path in ("cache", "breakers")]
        told = await listener.heard(3)

    assert [answer.status_code for answer in (*answers, by_key, listed, explained)] == [200] * 5
    assert {candidate["credential_id"] for candidate in explained.json()["candidates"]} == {None}
    assert not any(answer.is_success for answer in operators)
    assert [(one.access_key_id is None, one.consumer_id) for one in told] == [(True, consumer.id)] * 2 + [(False, None)]


async def test_a_token_gives_what_the_consumer_has_and_no_more(world: World, tmp_path: Path) -> None:
    other = world.seed.model("other")
    a_consumer(world.seed, model_ids=[other.id])
    a_consumer(world.seed, name="limited", rpm_limit=1)
    async with running_router(tmp_path, world.seed, **SHARED) as router:
        refused = await ask(router, token())
        limited = [(await ask(router, token(sub="limited"))).status_code for _ in range(2)]

    assert refused.json()["error"]["code"] == "model_not_permitted"
    assert limited == [200, 429]


async def test_a_token_may_mean_less_than_its_consumer_may_and_never_more(world: World) -> None:
    models = [world.seed.model("m", tier=tier) for tier in ("free", "pro", "max")]
    a_consumer(world.seed, tier="pro")
    scopes = [
        world.seed.put(ScopeRecord(id=new_id(), name=name, is_active=True, model_ids=[], default_model_id=None))
        for name in ("one", "two")
    ]
    table = world.seed.table()
    tokens = Tokens(TokenRules(ISSUER, AUDIENCE, "sub", "plan", "scope"), SharedSecret(SECRET))

    async def may(**said: Any) -> tuple[int, int]:
        caller = await tokens.admit(table, token(**said).encode())
        called = [caller.permits(one) for one in table.models.all() if one.name == "m"]
        return sum(called), sum(caller.permits_scope(scope.id) for scope in scopes)

    assert len(models) == 3
    assert await may() == (2, 2)
    assert await may(plan="free") == (1, 2)
    assert await may(plan="max") == (2, 2)
    assert await may(scope="two unknown") == (2, 1)
    assert await may(scope=["one", "two"]) == (2, 2)
    assert await may(scope=[]) == (2, 0)
    for wrong in ({"plan": "gold"}, {"plan": 7}, {"scope": 7}, {"scope": [7]}):
        with pytest.raises(KeyRefusedError, match=f"claim '{next(iter(wrong))}'"):
            await may(**wrong)


NONE = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhY21lIn0."


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(lambda: token(exp=int(time.time()) - 60), id="expired"),
        pytest.param(lambda: token(exp=None), id="without an end"),
        pytest.param(lambda: token(exp="soon"), id="with an end that is no time"),
        pytest.param(lambda: token(nbf=int(time.time()) + 600), id="not valid yet"),
        pytest.param(lambda: token(aud="others"), id="meant for others"),
        pytest.param(lambda: token(aud=None), id="meant for nobody"),
        pytest.param(lambda: token(iss="https://other.test"), id="of another issuer"),
        pytest.param(lambda: token(OctKey.import_key("another-secret-of-32-characters-..")), id="of another secret"),
        pytest.param(lambda: token(algorithm="HS512"), id="of another algorithm"),
        pytest.param(lambda: token(RSA, "RS256"), id="signed by a public key of the sender's"),
        pytest.param(lambda: token() + "x", id="changed"),
        pytest.param(lambda: NONE, id="not signed"),
        pytest.param(lambda: "eyJ.e.e", id="unreadable"),
        pytest.param(lambda: "eyJ" + "x" * 20_000 + ".e.e", id="endless"),
        pytest.param(lambda: token(sub="nobody"), id="of an unknown consumer"),
        pytest.param(lambda: token(sub="gone"), id="of a disabled consumer"),
        pytest.param(lambda: token(sub=None), id="of nobody"),
        pytest.param(lambda: token(sub=7), id="of a number"),
    ],
)
async def test_any_other_token_is_refused_by_a_word(world: World, shown: Any) -> None:
    a_consumer(world.seed)
    a_consumer(world.seed, name="gone", is_active=False)
    tokens = Tokens(TokenRules(ISSUER, AUDIENCE, "sub"), SharedSecret(SECRET))

    with pytest.raises(KeyRefusedError) as refusal:
        await tokens.admit(world.seed.table(), shown().encode())
    assert "token" in str(refusal.value)
    assert SECRET not in str(refusal.value)


async def test_without_an_issuer_a_token_is_an_unknown_key(router: RunningRouter) -> None:
    answer = await ask(router, token())

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_published_keys_verify_and_are_looked_up_once(world: World, tmp_path: Path) -> None:
    a_consumer(world.seed)
    shown = (token(RSA, "RS256", "one"), token(EC, "ES256", "two"), token(RSA, "PS256", "one"))
    forged = (public_key_as_secret("one"), token(OTHER_RSA, "RS256", "one"), token(EC, "ES256", "one"))
    async with (
        an_issuer(one=RSA, two=EC) as issuer,
        running_router(tmp_path, world.seed, **issuer.settings) as router,
    ):
        answers = [(await ask(router, each)).status_code for each in (*shown, *forged)]

    assert answers == [200, 200, 200, 401, 401, 401]
    assert issuer.asked == 1


def public_key_as_secret(kid: str) -> str:
    """Sign by what everybody knows, as if it were a secret that issuer and router share."""
    parts = [json.dumps({"alg": "HS256", "kid": kid}).encode(), json.dumps(claims()).encode()]
    signed = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.digest(RSA.as_pem(private=False), signed, "sha256")
    return (signed + b"." + urlsafe_b64encode(mac).rstrip(b"=")).decode()


async def test_a_key_that_is_new_is_read_and_an_issuer_out_of_order_changes_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_consumer(world.seed)
    monkeypatch.setattr(issuer_keys, "LOOK_AGAIN_S", 0.0)
    async with an_issuer(one=RSA) as issuer, running_router(tmp_path, world.seed, **issuer.settings) as router:
        assert (await ask(router, token(RSA, "RS256", "one"))).status_code == 200
        issuer.keys = {"two": OTHER_RSA}
        new = await ask(router, token(OTHER_RSA, "RS256", "two"))
        withdrawn = await ask(router, token(RSA, "RS256", "one", jti="fresh"))
        issuer.answer = Response(b'{"keys": []}')
        still = await ask(router, token(OTHER_RSA, "RS256", "two", jti="fresh"))
        monkeypatch.setattr(issuer_keys, "LOOK_AGAIN_S", 60.0)
        asked = issuer.asked
        for _ in range(3):
            await ask(router, token(OTHER_RSA, "RS256", "unknown"))

    assert (new.status_code, withdrawn.status_code, still.status_code) == (200, 401, 200)
    assert issuer.asked == asked


async def test_without_any_key_tokens_are_refused_for_now_and_access_keys_go_on(world: World, tmp_path: Path) -> None:
    a_consumer(world.seed)
    async with an_issuer(one=RSA) as issuer:
        issuer.answer = Response(status_code=500)
        async with running_router(tmp_path, world.seed, **issuer.settings) as router:
            answer = await ask(router, token(RSA, "RS256", "one"))
            by_key = await router.complete()

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, IssuerAwayError.code)
    assert by_key.status_code == 200


async def test_a_token_is_verified_once_and_ceases_when_it_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    a_consumer(world.seed)
    table, now = world.seed.table(), time.time()
    tokens = Tokens(TokenRules(ISSUER, AUDIENCE, "sub"), SharedSecret(SECRET))
    shown = token(exp=int(now) + 100).encode()
    await tokens.admit(table, shown)
    with monkeypatch.context() as patched:
        patched.setattr(jwt, "decode", None)
        # It would fail if anything were decoded again.
        await tokens.admit(table, shown)

    monkeypatch.setattr("modelbus.router.ingress.tokens.time", lambda: now + 131)
    with pytest.raises(KeyRefusedError, match="expired"):
        await tokens.admit(table, shown)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"jwt_audience": AUDIENCE}, "JWT_AUDIENCE needs"),
        ({"jwt_secret": SECRET}, "JWT_SECRET needs"),
        ({"jwt_issuer": ISSUER, "jwt_secret": SECRET}, "JWT_AUDIENCE"),
        ({"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}, "either"),
        (SHARED | {"jwt_jwks_url": "https://issuer.test/keys"}, "either"),
        (SHARED | {"jwt_secret": "short"}, "jwt_secret"),
    ],
)
def test_settings_that_say_half_are_refused_by_name(tmp_path: Path, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        router_settings(tmp_path, **fields)
