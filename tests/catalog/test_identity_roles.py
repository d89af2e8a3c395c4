"""Every path of the catalog asks for the role that the table of roles gives it, and there is none without a row."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import iter_route_contexts

from catalog.people import PASSWORD, REFRESH, TOKENS, a_session, a_user, audited, run_sql, shows, sign_in
from catalogs import settings_for
from modelbus.catalog.api.roles import ROLES
from modelbus.catalog.app import create_app
from modelbus.chassis.auth import guard
from modelbus.chassis.callers import Role
from modelbus.chassis.roles import PUBLIC, SERVICE
from running import ADMIN_TOKEN, SERVICE_TOKEN, serving
from servers import Databases, FreshDatabase

Json = dict[str, Any]

ROWS = [(method, path, role) for path, row in ROLES.items() for method, role in row.items()]
GUARDED = [(method, path, role) for method, path, role in ROWS if role is not PUBLIC]
BELOW = {Role.VIEWER: Role.SERVICE, Role.EDITOR: Role.VIEWER, Role.ADMIN: Role.EDITOR}


def an_app() -> FastAPI:
    """Assemble a catalog that is never started."""
    return create_app(settings_for(FreshDatabase("postgresql://nobody@127.0.0.1:9/none", "none"), "nats://127.0.0.1:9"))


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(app.routes):
        for method in route.methods or ():
            yield method, route.path or ""


def row_id(value: object) -> str:
    return str(value)


def test_every_route_has_one_row_and_every_row_its_route() -> None:
    app = an_app()
    real = [(method, path) for method, path in routes_of(app) if path.startswith("/api/")]

    assert len(real) == len(set(real))
    assert sorted(real) == sorted((method, path) for method, path, _ in ROWS)


def test_outside_of_the_api_there_is_nothing_but_health_and_the_description() -> None:
    others = {path for _, path in routes_of(an_app()) if not path.startswith("/api/")}

    assert others <= {"/openapi.json", "/health/live", "/health/ready", "/metrics"}


def test_only_what_begins_a_session_or_proves_one_is_public() -> None:
    public = {path for _, path, role in ROWS if role is PUBLIC}

    assert all(re.match(r"/api/v1/auth/(login|refresh|jwks|oidc/login|oidc/callback)$", path) for path in public)


class People:
    """One session for each role."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.sessions: dict[Role, Json] = {}

    async def as_role(self, role: Role, path: str) -> tuple[str, dict[str, str]]:
        """Answer the path, filled in, and the headers of somebody with that role."""
        if role == Role.SERVICE:
            return filled(path, str(uuid4())), {"Authorization": f"Bearer {SERVICE_TOKEN}"}
        if role not in self.sessions:
            self.sessions[role] = await a_session(self.http, role=role)
        session = self.sessions[role]
        if path.endswith(("/logout", "/sessions")):
            session = (await sign_in(self.http, session["user"]["name"])).json()
            del self.sessions[role]
        return filled(path, session["user"]["id"]), shows(session)


def filled(path: str, user_id: str) -> str:
    """Put an id into each place; that of who asks where the path is open for one's own alone."""
    if path.endswith(("/password", "/sessions")):
        return path.replace("{user_id}", user_id)
    return re.sub(r"\{[^}]+\}", str(uuid4()), path)


@pytest.fixture(scope="module")
async def people(databases: Databases) -> AsyncIterator[People]:
    async with (
        databases.fresh() as database,
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=20) as http,
    ):
        # Somebody else is admin, so that an admin who is tried out is never the last.
        await a_user(http, role="admin")
        yield People(http)


@pytest.mark.parametrize(("method", "path", "role"), GUARDED, ids=row_id)
async def test_a_path_refuses_who_shows_no_token(people: People, method: str, path: str, role: Role) -> None:
    assert role
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
        answer = await people.http.request(method, filled(path, str(uuid4())), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


@pytest.mark.parametrize(("method", "path", "role"), [row for row in GUARDED if row[2] != SERVICE], ids=row_id)
async def test_a_path_refuses_the_role_just_below(people: People, method: str, path: str, role: Role) -> None:
    place, headers = await people.as_role(BELOW[role], path)

    answer = await people.http.request(method, place, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "role"), GUARDED, ids=row_id)
async def test_a_path_lets_in_the_role_that_it_needs(people: People, method: str, path: str, role: Role) -> None:
    place, headers = await people.as_role(role, path)

    answer = await people.http.request(method, place, headers=headers)

    assert answer.status_code not in {401, 403}
    assert answer.status_code < 500


@pytest.mark.parametrize(("method", "path", "role"), [row for row in GUARDED if row[2] == SERVICE], ids=row_id)
async def test_what_is_open_to_services_is_open_to_viewers(people: People, method: str, path: str, role: Role) -> None:
    assert role
    place, headers = await people.as_role(Role.VIEWER, path)

    assert (await people.http.request(method, place, headers=headers)).status_code not in {401, 403}


@pytest.mark.parametrize(("method", "path", "role"), [row for row in ROWS if row[2] is PUBLIC], ids=row_id)
async def test_what_is_public_asks_for_no_token_and_minds_no_wrong_one(
    people: People, method: str, path: str, role: None
) -> None:
    assert role is PUBLIC
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
        answer = await people.http.request(method, path, headers=headers)
        assert answer.status_code in {200, 404, 422}
        assert answer.json().get("code") not in {"unauthorized", "forbidden"}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/nothing-here",
        "/api/v1/auth/login/",
        "/api/v1/auth/login/../users",
        "/api/v1/auth/loginx",
        "/api/v1/auth/jwks/x",
        "/api/v1//auth/jwks",
        "/api/",
    ],
)
async def test_a_path_like_a_public_one_is_not_public(people: People, path: str) -> None:
    for method in ("GET", "POST"):
        answer = await people.http.request(method, path, headers={"Authorization": ""})
        assert answer.status_code == 401


async def test_a_path_without_a_row_is_for_admins_alone(database: FreshDatabase) -> None:
    forgotten = APIRouter(prefix="/api/v1/forgotten")

    @forgotten.get("")
    async def show() -> dict[str, bool]:
        return {"shown": True}

    app = create_app(settings_for(database, "nats://127.0.0.1:9"))
    app.include_router(forgotten, dependencies=[Depends(guard)])
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=20) as http,
    ):
        answers = [
            await http.get("/api/v1/forgotten", headers=shows(await a_session(http, role=role)))
            for role in ("viewer", "editor", "admin")
        ]

    assert [answer.status_code for answer in answers] == [403, 403, 200]


async def test_who_tries_what_they_may_not_is_in_the_audit_log(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    session = await a_session(http, role="viewer")

    await http.delete(f"/api/v1/suppliers/{uuid4()}", headers=shows(session))

    [line] = await audited(database)
    assert (str(line["caller_id"]), line["caller_role"]) == (session["user"]["id"], "viewer")
    assert line["action"] == "DELETE /api/v1/suppliers/{supplier_id}"
    assert line["detail"] == {"reason": "role_too_low"}


async def test_no_secret_of_anybodys_is_stored_in_clear_or_told(
    http: httpx.AsyncClient, database: FreshDatabase, capfd: pytest.CaptureFixture[str]
) -> None:
    session = await a_session(http, role="admin")
    token = (await http.post(TOKENS, json={"name": "ci", "role": "admin"}, headers=shows(session))).json()["token"]
    following = (await http.post(REFRESH, json={"refresh_token": session["refresh_token"]})).json()
    await http.post(REFRESH, json={"refresh_token": session["refresh_token"]})
    refused = [
        await sign_in(http, session["user"]["name"], f"not {PASSWORD}"),
        await http.post("/api/v1/users", json={"name": "x y", "role": "admin", "password": PASSWORD}),
        await http.post("/api/v1/auth/login", json={"name": 7, "password": PASSWORD}),
        await http.post(REFRESH, json={"refresh_token": following["refresh_token"], "x": 1}),
    ]
    shown = [await http.get(path) for path in ("/api/v1/users", TOKENS, "/api/v1/auth/signing-keys")]

    tables = await run_sql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'catalog'")
    stored = [await run_sql(database, f"SELECT t::text FROM catalog.{table[0]} t") for table in tables]
    captured = capfd.readouterr()
    places = {
        "stored": str([row[0] for rows in stored for row in rows]),
        "logged": captured.out + captured.err,
        "told": str([answer.text for answer in (*refused, *shown)]),
    }
    both = (session, following)
    for secret in (PASSWORD, token, *(each[name] for each in both for name in ("access_token", "refresh_token"))):
        assert {place: secret in text for place, text in places.items()} == dict.fromkeys(places, False)
    assert "argon2" not in places["told"]
