"""Signing in through an OpenID Connect issuer, over HTTP: an honest one, and one that forges."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock  # type: ignore[import-untyped]
import pytest
from joserfc import jwt
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from builders import shown
from catalog.forgeries import headed, hs256, unsigned
from catalog.issuers import ForgingIssuer, a_key, follow, forging_issuer
from catalog.people import ME, USERS, a_user, audited, bearer, client_of, run_sql, shows, shut_out, sign_in
from catalogs import settings_for
from modelbus.catalog.app import create_app
from running import ADMIN_TOKEN, serving
from servers import FreshDatabase

LOGIN = "/api/v1/auth/oidc/login"
CALLBACK = "/api/v1/auth/oidc/callback"
COOKIE = "modelbus_sign_in"

Json = dict[str, Any]


@asynccontextmanager
async def a_catalog(database: FreshDatabase, issuer: str, **settings: Any) -> AsyncIterator[str]:
    told = {
        "oidc_issuer": issuer,
        "oidc_client_id": "modelbus",
        "oidc_client_secret": "secret-of-the-client",
        "oidc_bearer_audience": "modelbus-api",
        "public_url": "http://catalog.example",
        **settings,
    }
    async with serving(create_app(settings_for(database, "nats://127.0.0.1:9", **told))) as url:
        yield url


@pytest.fixture
async def issuer() -> AsyncIterator[ForgingIssuer]:
    async with forging_issuer() as running:
        running.claims["roles"] = ["modelbus-editor"]
        yield running


@pytest.fixture
async def catalog(database: FreshDatabase, issuer: ForgingIssuer) -> AsyncIterator[str]:
    async with a_catalog(database, issuer.url) as url:
        yield url


@pytest.fixture
async def browser(catalog: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=catalog, timeout=20) as client:
        yield client


@pytest.fixture
async def admin(catalog: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(catalog, ADMIN_TOKEN) as client:
        yield client


async def signed_in(browser: httpx.AsyncClient, issuer: ForgingIssuer, subject: str = "subject-1") -> httpx.Response:
    """Go to the issuer and come back."""
    away = await browser.get(LOGIN)
    assert away.status_code == 302, away.text
    return await follow(browser, issuer.authorize(away.headers["location"], subject))


@pytest.fixture(scope="module")
def honest() -> Iterator[str]:
    """A well-kept library's issuer."""
    with oidc_provider_mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


async def test_whom_a_real_issuer_vouches_for_signs_in_with_the_role_that_it_says(
    database: FreshDatabase, honest: str
) -> None:
    claims = {"preferred_username": "Ada", "name": "Ada L.", "roles": ["staff", "modelbus-editor", "modelbus-viewer"]}
    async with a_catalog(database, honest) as url, httpx.AsyncClient(timeout=20) as web:
        await web.put(f"{honest}/users/ada-at-the-issuer", json=claims)
        away = await web.get(f"{url}{LOGIN}")
        back = await web.post(away.headers["location"], data={"sub": "ada-at-the-issuer"})
        parts = urlsplit(back.headers["location"])
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"http://catalog.example{CALLBACK}"

        answer = await web.get(f"{url}{CALLBACK}?{parts.query}")
        session = answer.json()
        me = (await web.get(f"{url}{ME}", headers=shows(session))).json()

    user = session["user"]
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (user["name"], user["display_name"], user["role"], user["issuer"]) == ("ada", "Ada L.", "editor", honest)
    assert me == {"id": user["id"], "name": "ada", "role": "editor", "means": "session"}


async def test_who_denies_at_a_real_issuer_is_not_signed_in(database: FreshDatabase, honest: str) -> None:
    async with a_catalog(database, honest) as url, httpx.AsyncClient(timeout=20) as web:
        away = await web.get(f"{url}{LOGIN}")
        back = await web.post(away.headers["location"], data={"action": "deny"})

        answer = await web.get(f"{url}{CALLBACK}?{urlsplit(back.headers['location']).query}")

    assert (answer.status_code, answer.json()["code"]) == (401, "issuer_refused")


async def test_the_way_to_the_issuer_is_bound_to_the_browser_and_to_the_code(
    browser: httpx.AsyncClient, issuer: ForgingIssuer
) -> None:
    answer = await signed_in(browser, issuer)

    assert answer.status_code == 200
    [(_, asked), (_, form), _] = issuer.asked
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", "modelbus", "S256")
    assert asked["redirect_uri"] == form["redirect_uri"] == f"http://catalog.example{CALLBACK}"
    assert "openid" in asked["scope"].split()
    assert min(len(asked["state"]), len(asked["nonce"]), len(form["code_verifier"])) >= 43
    assert form["authorization"].startswith("Basic ")
    assert "secret-of-the-client" not in str(form)
    again = await browser.get(LOGIN)
    cookie = again.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/api/v1/auth/oidc" in cookie
    other = parse_qs(urlsplit(again.headers["location"]).query)
    assert {other[name][0] for name in ("state", "nonce", "code_challenge")}.isdisjoint(asked.values())


async def test_over_https_the_cookie_is_for_https_alone(database: FreshDatabase, issuer: ForgingIssuer) -> None:
    async with (
        a_catalog(database, issuer.url, public_url="https://catalog.example") as url,
        httpx.AsyncClient(base_url=url, timeout=20) as browser,
    ):
        assert "Secure" in (await browser.get(LOGIN)).headers["set-cookie"]


FORGED: dict[str, Json] = {
    "another issuer": {"iss": "https://another.example"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "another-client"},
    "no audience": {"aud": None},
    "several audiences and no party": {"aud": ["modelbus", "another-client"]},
    "made for another party": {"aud": ["modelbus", "another-client"], "azp": "another-client"},
    "expired": {"exp": int(time.time()) - 3600},
    "no end": {"exp": None},
    "not yet valid": {"nbf": int(time.time()) + 3600},
    "issued tomorrow": {"iat": int(time.time()) + 86_400},
    "another nonce": {"nonce": "of-another-sign-in"},
    "no nonce": {"nonce": None},
    "no subject": {"sub": None},
    "a subject that is no text": {"sub": 7},
}


@pytest.mark.parametrize("how", FORGED)
async def test_an_id_token_that_is_not_for_this_sign_in_proves_nothing(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, database: FreshDatabase, how: str
) -> None:
    issuer.claims.update(FORGED[how])

    answer = await signed_in(browser, issuer)

    assert (answer.status_code, answer.json()["code"]) == (401, "issuer_refused")
    assert [line["detail"]["reason"] for line in await audited(database)] == ["not_proved"]
    assert (await run_sql(database, "SELECT count(*) FROM catalog.users"))[0][0] == 0


async def test_an_id_token_for_several_is_good_where_it_was_made_for_us(
    browser: httpx.AsyncClient, issuer: ForgingIssuer
) -> None:
    issuer.claims.update({"aud": ["modelbus", "another"], "azp": "modelbus"})

    assert (await signed_in(browser, issuer)).status_code == 200


@pytest.mark.parametrize("how", ["another key", "the public key as a secret", "none", "a key that is not published"])
async def test_an_id_token_that_the_issuer_has_not_signed_proves_nothing(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, how: str
) -> None:
    another = a_key("first")
    forgeries: dict[str, Callable[[Json, Json], str]] = {
        "another key": lambda header, claims: jwt.encode(header, claims, another),
        "the public key as a secret": lambda header, claims: hs256(header, claims, issuer.key.as_pem(private=False)),
        "none": unsigned,
        "a key that is not published": lambda header, claims: jwt.encode({**header, "kid": "second"}, claims, another),
    }
    issuer.forge = forgeries[how]

    answer = await signed_in(browser, issuer)

    assert (answer.status_code, answer.json()["code"]) == (401, "issuer_refused")


async def test_a_key_that_the_issuer_has_changed_is_found(browser: httpx.AsyncClient, issuer: ForgingIssuer) -> None:
    assert (await signed_in(browser, issuer)).status_code == 200
    issuer.key = a_key("second")

    deadline = time.monotonic() + 10
    while (answer := await signed_in(browser, issuer)).status_code != 200:
        assert time.monotonic() < deadline, answer.text


async def test_what_comes_back_must_be_what_this_browser_set_out_for(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, catalog: str
) -> None:
    away = await browser.get(LOGIN)
    location = issuer.authorize(away.headers["location"])
    async with httpx.AsyncClient(base_url=catalog, timeout=20) as stranger:
        without_cookie = await follow(stranger, location)
        await stranger.get(LOGIN)
        with_cookie_of_another = await follow(stranger, location)
    other_state = await browser.get(CALLBACK, params={"code": "code-0", "state": "another"})

    answers = (without_cookie, with_cookie_of_another, other_state)
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(401, "issuer_refused")] * 3
    assert [what for what, _ in issuer.asked] == ["authorize"]


async def test_a_sign_in_is_good_once(browser: httpx.AsyncClient, issuer: ForgingIssuer) -> None:
    away = await browser.get(LOGIN)
    cookie = browser.cookies[COOKIE]
    location = issuer.authorize(away.headers["location"])
    assert (await follow(browser, location)).status_code == 200
    assert COOKIE not in browser.cookies

    browser.cookies.set(COOKIE, cookie)
    again = await follow(browser, location)

    assert (again.status_code, again.json()["code"]) == (401, "issuer_refused")


@pytest.mark.parametrize("query", ["", "?error=access_denied&state=x", "?code=" + "x" * 5000, "?code=a%00&state=%00"])
async def test_nothing_useful_comes_back(browser: httpx.AsyncClient, query: str) -> None:
    assert (await browser.get(CALLBACK + query)).status_code in {401, 422}


async def test_nobody_gets_in_without_a_role(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, database: FreshDatabase
) -> None:
    for roles in (None, [], ["staff"], "admin", ["admin"], {"modelbus-admin": True}, 7):
        issuer.claims["roles"] = roles
        answer = await signed_in(browser, issuer)
        assert (answer.status_code, answer.json()["code"]) == (401, "issuer_refused")

    assert {line["detail"]["reason"] for line in await audited(database)} == {"no_role"}
    assert (await run_sql(database, "SELECT count(*) FROM catalog.users"))[0][0] == 0


@pytest.mark.parametrize(
    ("claim", "said", "role"),
    [
        ("realm_access.roles", {"realm_access": {"roles": ["boss", "hand"]}}, "admin"),
        ("https://example.com/roles", {"https://example.com/roles": "hand"}, "viewer"),
        ("groups", {"groups": "boss"}, "admin"),
    ],
)
async def test_the_claim_and_what_it_means_are_settings(
    database: FreshDatabase, issuer: ForgingIssuer, claim: str, said: Json, role: str
) -> None:
    issuer.claims = said
    means = {"boss": "admin", "hand": "viewer"}
    async with (
        a_catalog(database, issuer.url, oidc_role_claim=claim, oidc_roles=means) as url,
        httpx.AsyncClient(base_url=url, timeout=20) as browser,
    ):
        assert (await signed_in(browser, issuer)).json()["user"]["role"] == role


async def test_the_issuers_word_on_a_role_counts_at_every_sign_in_and_nobody_elses(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, admin: httpx.AsyncClient
) -> None:
    first = (await signed_in(browser, issuer)).json()["user"]
    path = f"{USERS}/{first['id']}"

    by_hand = await admin.patch(path, json={"role": "admin"})
    password = await admin.put(f"{path}/password", json={"password": "an entirely other phrase"})
    issuer.claims["roles"] = ["modelbus-viewer"]
    second = (await signed_in(browser, issuer)).json()["user"]

    assert [(each.status_code, each.json()["code"]) for each in (by_hand, password)] == [(409, "issuers_user")] * 2
    assert (first["role"], second["role"], second["id"]) == ("editor", "viewer", first["id"])


async def test_a_user_of_the_issuer_who_is_disabled_here_stays_out(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, admin: httpx.AsyncClient, database: FreshDatabase
) -> None:
    session = (await signed_in(browser, issuer)).json()
    token = bearer(issuer.sign({"aud": "modelbus-api"}))
    assert (await browser.get(ME, headers=token)).status_code == 200

    await admin.patch(f"{USERS}/{session['user']['id']}", json={"is_active": False})

    assert (await signed_in(browser, issuer)).status_code == 401
    await shut_out(browser, shows(session))
    await shut_out(browser, token)
    assert (await audited(database))[-1]["detail"]["reason"] == "user_disabled"


async def test_a_local_users_name_is_never_taken_over(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, admin: httpx.AsyncClient
) -> None:
    local = await a_user(admin, name="ada", role="admin")
    issuer.claims["preferred_username"] = "ADA"

    user = (await signed_in(browser, issuer)).json()["user"]

    assert user["id"] != local["id"]
    assert (user["name"], user["role"]) == (f"{issuer.url}#subject-1", "editor")
    assert await shown(admin, f"{USERS}/{local['id']}") == local
    assert (await sign_in(admin, user["name"])).status_code == 401


async def test_two_first_sign_ins_at_once_make_one_user(
    catalog: str, issuer: ForgingIssuer, admin: httpx.AsyncClient
) -> None:
    async def one() -> str:
        async with httpx.AsyncClient(base_url=catalog, timeout=20) as browser:
            found: str = (await signed_in(browser, issuer)).json()["user"]["id"]
            return found

    ids = await asyncio.gather(*(one() for _ in range(4)))

    assert len(set(ids)) == 1
    assert len((await shown(admin, USERS))["items"]) == 1


async def test_the_issuers_tokens_for_our_audience_open_the_catalog_with_the_role_that_they_say(
    browser: httpx.AsyncClient, issuer: ForgingIssuer
) -> None:
    token = bearer(issuer.sign({"aud": "modelbus-api"}))

    me = (await browser.get(ME, headers=token)).json()
    refused = await browser.get(USERS, headers=token)
    minted = await browser.post("/api/v1/auth/tokens", json={"name": "x", "role": "viewer"}, headers=token)

    assert me == {"id": None, "name": f"{issuer.url}#subject-1", "role": "editor", "means": "issuer"}
    assert refused.status_code == 403
    assert minted.json()["code"] == "sign_in_needed"


@pytest.mark.parametrize("how", [*FORGED, "no role", "another key", "the client's audience"])
async def test_an_issuers_token_that_is_not_for_us_opens_nothing(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, how: str
) -> None:
    if how in {
        "another nonce",
        "no nonce",
        "issued tomorrow",
        "made for another party",
        "several audiences and no party",
    }:
        issuer.claims.update({"aud": "modelbus"})
    issuer.claims.update(FORGED.get(how, {}))
    if how == "no role":
        issuer.claims["roles"] = ["staff"]
    if how == "another key":
        another = a_key("first")
        issuer.forge = lambda header, claims: jwt.encode(header, claims, another)
    audience = "modelbus" if how == "the client's audience" else "modelbus-api"

    answer = await browser.get(ME, headers=bearer(issuer.sign({"aud": audience})))

    assert answer.status_code == 401


@pytest.mark.parametrize("header", [b'["alg"]', b'{"alg":"RS256"}'])
async def test_a_token_of_anything_but_objects_opens_nothing(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, header: bytes
) -> None:
    for claims in (b'{"iss":"%s"}' % issuer.url.encode(), b"[]", b"[" * 40_000):
        answer = await browser.get(ME, headers=bearer(headed(header, claims)))
        assert answer.status_code == 401, claims[:60]


async def test_whom_the_issuer_alone_knows_has_no_tokens_here_and_touches_nobodys(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, admin: httpx.AsyncClient
) -> None:
    made = await admin.post("/api/v1/auth/tokens", json={"name": "deploy", "role": "admin"})
    token, path = bearer(issuer.sign({"aud": "modelbus-api"})), f"/api/v1/auth/tokens/{made.json()['id']}"

    listed = await browser.get("/api/v1/auth/tokens", headers=token)
    deleted = await browser.delete(path, headers=token)

    assert (listed.json()["items"], deleted.status_code) == ([], 404)
    assert (await browser.get(ME, headers=bearer(made.json()["token"]))).status_code == 200


async def test_a_stranger_can_not_make_us_ask_the_issuer_again_and_again(
    browser: httpx.AsyncClient, issuer: ForgingIssuer
) -> None:
    for number in range(20):
        issuer.header = {"kid": f"unknown-{number}"}
        assert (await browser.get(ME, headers=bearer(issuer.sign({"aud": "modelbus-api"})))).status_code == 401

    assert 1 <= len(issuer.asked) <= 3


ANSWERS = {
    "no JSON": Response("<html>", 200),
    "no object": JSONResponse([]),
    "an error": JSONResponse({"error": "secret detail"}, 500),
    "a redirect": Response("", 302, headers={"Location": "http://127.0.0.1:9/"}),
    "an empty object": JSONResponse({}),
    "another's": JSONResponse({"issuer": "https://another.example"}),
    "no addresses": JSONResponse({"issuer": "", "authorization_endpoint": "javascript:alert(1)"}),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_an_issuer_that_misbehaves_is_named_as_the_one_who_does(
    browser: httpx.AsyncClient, issuer: ForgingIssuer, how: str
) -> None:
    issuer.answers["metadata"] = ANSWERS[how]
    at_discovery = await browser.get(LOGIN)
    issuer.answers = {"token": ANSWERS[how]}
    at_the_token = await signed_in(browser, issuer)

    assert (at_discovery.status_code, at_discovery.json()["code"]) == (502, "issuer_misbehaved")
    assert (at_the_token.status_code, at_the_token.json()["code"]) == (502, "issuer_misbehaved")
    assert "secret detail" not in at_discovery.text + at_the_token.text


async def test_an_issuer_that_is_away_is_an_outage_and_no_fault_of_ours(database: FreshDatabase) -> None:
    async with a_catalog(database, "http://127.0.0.1:9") as url, httpx.AsyncClient(base_url=url, timeout=20) as browser:
        answer = await browser.get(LOGIN)
        garbage = await browser.get(ME, headers=bearer("a.b.c"))

    assert (answer.status_code, answer.json()["code"]) == (503, "temporarily_unavailable")
    assert garbage.status_code == 401


async def test_without_an_issuer_there_is_no_such_way_in(http: httpx.AsyncClient) -> None:
    for path in (LOGIN, CALLBACK):
        answer = await http.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "issuer_off")


@pytest.mark.parametrize(
    "settings",
    [
        {"oidc_issuer": "http://issuer.example", "oidc_client_id": "modelbus"},
        {"oidc_issuer": "issuer.example", "oidc_client_id": "modelbus"},
        {"oidc_issuer": "https://issuer.example"},
        {"oidc_roles": {"boss": "owner"}},
        {"trusted_proxies": "10.0.0.1/8"},
        {"trusted_proxies": "everybody"},
    ],
)
async def test_settings_that_can_not_be_are_refused_at_the_start(database: FreshDatabase, settings: Json) -> None:
    with pytest.raises(ValidationError):
        settings_for(database, "nats://127.0.0.1:9", **settings)
