"""Users of the catalog at sync, integrity and the router: let in by its word, with the role that they have there."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI, Response
from fastapi.routing import iter_route_contexts
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from builders import a_supplier
from catalog.people import TOKENS, a_session, bearer, shows
from catalogs import settings_for
from modelbus.catalog.app import create_app as create_catalog
from modelbus.chassis import vouching
from modelbus.chassis.auth import NobodyVouchesError
from modelbus.chassis.callers import Role
from modelbus.chassis.roles import PUBLIC, SERVICE, Roles
from modelbus.chassis.vouching import HELD_S, ME, Vouching
from modelbus.integrity.api.roles import ROLES as OF_INTEGRITY
from modelbus.integrity.app import create_app as create_integrity
from modelbus.integrity.settings import Settings as OfIntegrity
from modelbus.router.api.roles import BY_ACCESS_KEY
from modelbus.router.api.roles import ROLES as OF_ROUTER
from modelbus.router.app import create_app as create_router
from modelbus.router.settings import Settings as OfRouter
from modelbus.sync.api.roles import ROLES as OF_SYNC
from modelbus.sync.app import create_app as create_sync
from modelbus.sync.settings import Settings as OfSync
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, serving
from servers import Databases, FreshDatabase

TABLES: Mapping[str, Roles] = {"sync": OF_SYNC, "integrity": OF_INTEGRITY, "router": OF_ROUTER}
SERVICES = pytest.mark.parametrize("service", TABLES)
AWAY = "nats://127.0.0.1:9"
BELOW = {Role.VIEWER: Role.SERVICE, Role.EDITOR: Role.VIEWER, Role.ADMIN: Role.EDITOR}
SIGNED = "head.body.signature"


def app_of(service: str, state_dir: Path, catalog_url: str, database: FreshDatabase | None = None, **more: Any) -> Any:
    """Assemble a service that has no bus, beside that catalog."""
    usual: dict[str, Any] = {
        "nats_url": AWAY,
        "catalog_url": catalog_url,
        "admin_token": ADMIN_TOKEN,
        "service_token": SERVICE_TOKEN,
        "state_dir": state_dir,
        **more,
    }
    if service == "router":
        return create_router(OfRouter(**usual, master_keys=MASTER_KEY))
    usual["database_url"] = "postgresql://nobody@127.0.0.1:9/none" if database is None else database.url(service)
    if service == "integrity":
        return create_integrity(OfIntegrity(**usual))
    return create_sync(OfSync(**usual, master_keys=MASTER_KEY, probe_interval_s=0))


@dataclass(frozen=True)
class Everybody:
    """A catalog, the services beside it, and a session of each role."""

    catalog: httpx.AsyncClient
    urls: Mapping[str, str]
    sessions: Mapping[Role, dict[str, Any]]

    def headers(self, role: Role) -> dict[str, str]:
        return bearer(SERVICE_TOKEN) if role is SERVICE else shows(self.sessions[role])

    async def ask(self, service: str, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.urls[service], headers=headers, timeout=20) as http:
            return await http.request(method, re.sub(r"\{[^}]+\}", str(uuid4()), path))


@pytest.fixture(scope="module")
async def everybody(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Everybody]:
    async with (
        databases.fresh() as database,
        serving(create_catalog(settings_for(database, AWAY))) as catalog_url,
        httpx.AsyncClient(base_url=catalog_url, headers=bearer(ADMIN_TOKEN), timeout=20) as catalog,
        serving(app_of("sync", tmp_path_factory.mktemp("sync"), catalog_url, database)) as sync,
        serving(app_of("integrity", tmp_path_factory.mktemp("integrity"), catalog_url, database)) as integrity,
        serving(app_of("router", tmp_path_factory.mktemp("router"), catalog_url)) as router,
    ):
        sessions = {role: await a_session(catalog, role=role) for role in (Role.VIEWER, Role.EDITOR, Role.ADMIN)}
        urls = {"sync": sync, "integrity": integrity, "router": router}
        yield Everybody(catalog, urls, sessions)


def rows_of(service: str) -> list[tuple[str, str, Role]]:
    rows = [(method, path, role) for path, row in TABLES[service].items() for method, role in row.items()]
    return [(method, path, role) for method, path, role in rows if role is not PUBLIC]


@SERVICES
async def test_every_route_has_one_row_and_every_row_its_route(service: str, tmp_path: Path) -> None:
    app: Any = app_of(service, tmp_path, "http://127.0.0.1:9")
    async with serving(app) as url, httpx.AsyncClient(base_url=url) as http:
        document = (await http.get("/openapi.json")).json()
    real = [
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if path.startswith("/api/")
    ]

    assert sorted(real) == sorted((method, path) for method, path, _ in rows_of(service))
    for method, path, role in rows_of(service):
        operation = document["paths"][path][method.lower()]
        assert operation["security"] == [{"bearer": [role]}]
        assert f"`{role}`" in operation["responses"]["403"]["description"]


def test_no_route_is_hidden_from_the_description(tmp_path: Path) -> None:
    for service in ("sync", "integrity"):
        app: FastAPI = app_of(service, tmp_path, "http://127.0.0.1:9")
        paths = {each.path for each in iter_route_contexts(app.routes) if (each.path or "").startswith("/api/")}
        assert paths == set(TABLES[service])


@SERVICES
async def test_a_path_refuses_the_role_just_below_and_names_the_one_it_needs(
    everybody: Everybody, service: str
) -> None:
    for method, path, role in rows_of(service):
        if role is SERVICE:
            continue
        answer = await everybody.ask(service, method, path, everybody.headers(BELOW[role]))

        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)
        if BELOW[role] is not SERVICE:
            assert answer.json()["detail"] == f"this needs the role '{role}'"


@SERVICES
async def test_a_path_lets_in_the_role_that_it_needs(everybody: Everybody, service: str) -> None:
    for method, path, role in rows_of(service):
        for each in {role, Role.VIEWER} if role is SERVICE else {role}:
            answer = await everybody.ask(service, method, path, everybody.headers(each))

            assert answer.status_code not in {401, 403}, (method, path, each, answer.text)


async def test_an_api_token_opens_what_its_role_may_until_it_is_withdrawn(everybody: Everybody) -> None:
    admin = everybody.headers(Role.ADMIN)
    made = (await everybody.catalog.post(TOKENS, json={"name": "ci", "role": "viewer"}, headers=admin)).json()

    async def answers() -> list[int]:
        paths = {service: rows_of(service)[0][1] for service in TABLES}
        asked = [everybody.ask(service, "GET", path, bearer(made["token"])) for service, path in paths.items()]
        return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert await answers() == [200] * 3

    await everybody.catalog.delete(f"{TOKENS}/{made['id']}", headers=admin)

    async def are_out() -> bool:
        return await answers() == [401] * 3

    await eventually(are_out, within_s=HELD_S + 3)


@SERVICES
async def test_a_token_that_the_catalog_does_not_know_opens_nothing(everybody: Everybody, service: str) -> None:
    for wrong in (SIGNED, "mbt-unknown", "mb-an-access-key", everybody.sessions[Role.ADMIN]["refresh_token"]):
        for method, path, _ in rows_of(service):
            if (method, path) not in BY_ACCESS_KEY:
                answer = await everybody.ask(service, method, path, bearer(wrong))
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


async def test_who_asked_for_a_run_is_kept_with_it_and_named_in_the_log(everybody: Everybody) -> None:
    supplier = await a_supplier(everybody.catalog)
    editor = everybody.sessions[Role.EDITOR]
    async with httpx.AsyncClient(base_url=everybody.urls["sync"], headers=shows(editor), timeout=20) as sync:
        with capture_logs([merge_contextvars]) as logs:

            async def request_run() -> str | None:
                answer = await sync.post("/api/v1/runs", json={"supplier_id": supplier["id"]})
                run_ids: list[str] = answer.json().get("run_ids", [None])
                return run_ids[0]

            run_id = await eventually(request_run)
        run = (await sync.get(f"/api/v1/runs/{run_id}")).json()

    assert run["requested_by"] == editor["user"]["name"]
    [line, *_] = [each for each in logs if each.get("action") == "POST /api/v1/runs"]
    assert (line["caller"], line["role"]) == (editor["user"]["name"], "editor")
    assert line["request_id"]


@asynccontextmanager
async def a_catalog_that_says(*answers: Response) -> AsyncIterator[tuple[Vouching, list[str]]]:
    """Run a stand-in for the catalog; yields who asks it, and the headers that it was shown."""
    app, shown, turn = FastAPI(), list[str](), count()

    @app.middleware("http")
    async def answer(request: Any, _next: Any) -> Response:
        assert request.url.path == ME
        shown.append(request.headers["authorization"])
        return answers[min(next(turn), len(answers) - 1)]

    async with serving(app) as url:
        asking = Vouching(url)
        yield asking, shown
        await asking.close()


def says(role: str, means: str = "session") -> Response:
    return Response(f'{{"id": null, "name": "ada", "role": "{role}", "means": "{means}", "more": 1}}')


async def test_an_answer_is_used_again_for_two_seconds_and_so_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(vouching, "monotonic", lambda: now)
    async with a_catalog_that_says(says("viewer"), says("editor"), Response(status_code=401)) as (asking, shown):

        async def role() -> str | None:
            admission = await asking.admit(SIGNED)
            return None if admission is None else admission.caller.role

        first = [await role(), await role()]
        now += HELD_S
        second = [await role(), await role()]
        now += HELD_S
        third = [await role(), await role()]

    assert (first, second, third) == (["viewer"] * 2, ["editor"] * 2, [None] * 2)
    assert shown == [f"Bearer {SIGNED}"] * 3


async def test_no_more_answers_are_held_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vouching, "MOST_HELD", 3)
    async with a_catalog_that_says(says("viewer")) as (asking, shown):
        for number in (1, 2, 3, 4, 4, 1):
            await asking.admit(f"mbt-{number}")

    assert [each[-1] for each in shown] == ["1", "2", "3", "4", "1"]


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=500),
        Response(status_code=307, headers={"Location": "http://127.0.0.1:9/"}),
        Response("not JSON"),
        Response('{"name": "ada", "role": "owner", "means": "session"}'),
    ],
    ids=["failure", "redirect", "not JSON", "unknown role"],
)
async def test_an_answer_that_says_nothing_lets_nobody_in_and_is_not_held(answer: Response) -> None:
    async with a_catalog_that_says(answer, says("viewer")) as (asking, _):
        with pytest.raises(NobodyVouchesError):
            await asking.admit(SIGNED)
        again = await asking.admit(SIGNED)

    assert again is not None


async def test_a_catalog_that_vouches_for_a_service_is_not_believed() -> None:
    async with a_catalog_that_says(says("service", "static")) as (asking, _):
        assert await asking.admit(SIGNED) is None


async def test_the_catalog_is_not_shown_what_can_be_no_users_token() -> None:
    async with a_catalog_that_says(says("admin")) as (asking, shown):
        for other in ("mb-an-access-key", "guess", "ü.ü.ü", "a.b"):
            assert await asking.admit(other) is None

    assert shown == []


@SERVICES
async def test_while_the_catalog_is_away_users_are_told_so_and_static_tokens_still_open(
    database: FreshDatabase, tmp_path: Path, service: str
) -> None:
    app = app_of(service, tmp_path, "http://127.0.0.1:9", None if service == "router" else database)
    method, path, _ = rows_of(service)[0]
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        user = await http.request(method, path, headers=bearer(SIGNED))
        static = await http.request(method, path, headers=bearer(ADMIN_TOKEN))

    assert (user.status_code, user.json()["code"], user.headers["retry-after"]) == (503, "catalog_unavailable", "1")
    assert "does not say who you are" in user.json()["detail"]
    assert static.status_code == 200


@SERVICES
async def test_the_static_token_opens_nothing_where_it_is_switched_off(
    database: FreshDatabase, tmp_path: Path, service: str
) -> None:
    where = None if service == "router" else database
    app = app_of(service, tmp_path, "http://127.0.0.1:9", where, admin_token_accepted=False)
    method, path, _ = rows_of(service)[0]
    async with serving(app) as url, httpx.AsyncClient(base_url=url, timeout=20) as http:
        assert (await http.request(method, path, headers=bearer(ADMIN_TOKEN))).status_code == 401
