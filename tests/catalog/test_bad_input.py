"""Whatever comes in: a problem document that names the field, never a 500, nothing changed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from builders import a_model, a_supplier
from catalogs import settings_for
from modelbus.catalog.app import create_app
from running import ADMIN_TOKEN, serving
from servers import Databases

LISTS = (
    "suppliers",
    "credentials",
    "models",
    "sources",
    "fallback-chains",
    "complexity-routing",
    "scopes",
    "access-keys",
)
NUL, LONG = "a\x00b", "x" * 20_001
SUPPLIER = {"name": "good", "kind": "direct", "base_url": "https://api.example.com/v1"}


@pytest.fixture(scope="module")
async def catalog_url(databases: Databases) -> AsyncIterator[str]:
    """One catalog for all of these: what is refused leaves nothing behind."""
    async with databases.fresh() as database, serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url:
        yield url


@pytest.fixture(scope="module")
async def http(catalog_url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx.AsyncClient(base_url=catalog_url, headers=headers, timeout=20) as client:
        yield client


async def revision(http: httpx.AsyncClient) -> int:
    found: int = (await http.get("/api/v1/head")).json()["revision"]
    return found


def assert_problem(answer: httpx.Response, status: int, field: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["code"]
    assert problem["detail"]
    if field is not None:
        assert field in [error["field"] for error in problem["errors"]], problem


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": ""}, "name"),
        ({"name": NUL}, "name"),
        ({"name": LONG}, "name"),
        ({"name": "white space"}, "name"),
        ({"kind": "friend"}, "kind"),
        ({"base_url": "ftp://example.com"}, "base_url"),
        ({"base_url": "https://user:password@example.com/v1"}, "base_url"),
        ({"base_url": "not a url"}, "base_url"),
        ({"base_url": "http://ex\nample.com/v1"}, "base_url"),
        ({"base_url": "http://a.example/v1\r\nX: y"}, "base_url"),
        ({"base_url": "http://..a/v1"}, "base_url"),
        ({"description": NUL}, "description"),
        ({"description": LONG}, "description"),
        ({"removal_after": 0}, "removal_after"),
        ({"removal_after": 10**30}, "removal_after"),
        ({"sync_interval_s": -1}, "sync_interval_s"),
        ({"is_active": "perhaps"}, "is_active"),
        ({"flavour": "vanilla"}, "flavour"),
        ({"protocol": "smtp"}, "protocol"),
    ],
)
async def test_a_supplier_that_can_not_be_is_refused(
    http: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    answer = await http.post("/api/v1/suppliers", json={**SUPPLIER, **change})
    assert_problem(answer, 422, field)

    supplier = await a_supplier(http)
    before = await revision(http)
    assert_problem(await http.patch(f"/api/v1/suppliers/{supplier['id']}", json=change), 422, field)
    assert await revision(http) == before


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "with space"}, "name"),
        ({"name": NUL}, "name"),
        ({"aliases": ["fine", "not fine"]}, "aliases.1"),
        ({"aliases": "text"}, "aliases"),
        ({"aliases": ["z", "z"]}, "aliases"),
        ({"name": str(uuid4())}, "name"),
        ({"name": "vendor/sources"}, "name"),
        ({"context_window": 0}, "context_window"),
        ({"context_window": 10**12}, "context_window"),
        ({"context_window": 1.5}, "context_window"),
        ({"model_type": "telepathy"}, "model_type"),
    ],
)
async def test_a_model_that_can_not_be_is_refused(http: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    assert_problem(await http.post("/api/v1/models", json={"name": "vendor/fine", **change}), 422, field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"secret": ""}, "secret"),
        ({"secret": "two\r\nlines"}, "secret"),
        ({"secret": "käse"}, "secret"),
        ({"secret": None}, "secret"),
        ({"priority": -1}, "priority"),
        ({"supplier_id": "not-an-id"}, "supplier_id"),
        ({"supplier_id": str(uuid4())}, "supplier_id"),
    ],
)
async def test_a_credential_that_can_not_be_is_refused(
    http: httpx.AsyncClient, change: dict[str, Any], field: str
) -> None:
    supplier = await a_supplier(http)
    body = {"supplier_id": supplier["id"], "name": "key", "secret": "sk-0123456789abcdef", **change}
    answer = await http.post("/api/v1/credentials", json=body)

    assert_problem(answer, 422, field)
    assert "sk-0123456789abcdef" not in answer.text


@pytest.mark.parametrize("field", ["model_id", "supplier_id"])
async def test_a_source_of_something_missing_is_refused(http: httpx.AsyncClient, field: str) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    body = {"supplier_id": supplier["id"], "model_id": model["id"], "upstream_name": "u", field: str(uuid4())}
    assert_problem(await http.post("/api/v1/sources", json=body), 422, field)


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "1e400", "a lot"])
async def test_a_price_that_can_not_be_is_refused(http: httpx.AsyncClient, price: str) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    body = {"supplier_id": supplier["id"], "model_id": model["id"], "upstream_name": "u", "cost": {"input": price}}
    assert_problem(await http.post("/api/v1/sources", json=body), 422, "cost.input")


async def test_a_taken_name_is_refused(http: httpx.AsyncClient) -> None:
    await http.post("/api/v1/suppliers", json=SUPPLIER)
    await a_model(http, name="vendor/taken", aliases=["other"])

    assert_problem(await http.post("/api/v1/suppliers", json=SUPPLIER), 409, "name")
    for name in ("vendor/taken", "other"):
        answer = await http.post("/api/v1/models", json={"name": name})
        assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")


async def test_models_and_chains_share_one_space_of_names(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    steps = [{"model_id": model["id"]}]
    assert (
        await http.post("/api/v1/fallback-chains", json={"name": "smart", "steps": steps}, params={"force": True})
    ).status_code == 201

    for change in ({"name": "smart"}, {"name": "vendor/other", "aliases": ["smart"]}):
        answer = await http.post("/api/v1/models", json=change)
        assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")
    renamed = await http.patch(f"/api/v1/models/{model['id']}", json={"name": "smart"})
    assert renamed.status_code == 409


async def test_a_name_and_an_alias_chosen_at_once_do_not_clash(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(
        *(http.post("/api/v1/models", json={"name": f"at-once-{n}", "aliases": ["shared"]}) for n in range(4)),
        http.post("/api/v1/models", json={"name": "shared"}),
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_the_same_name_at_once_is_made_once(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.post("/api/v1/models", json={"name": "vendor/once"}) for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409)


@pytest.mark.parametrize("noun", LISTS)
async def test_what_is_not_there_is_not_found(http: httpx.AsyncClient, noun: str) -> None:
    assert_problem(await http.get(f"/api/v1/{noun}/{uuid4()}"), 404)
    assert_problem(await http.delete(f"/api/v1/{noun}/{uuid4()}"), 404)
    assert_problem(await http.patch(f"/api/v1/{noun}/{uuid4()}", json={}), 404)


@pytest.mark.parametrize("noun", LISTS)
async def test_malformed_bodies_are_refused_everywhere(http: httpx.AsyncClient, noun: str) -> None:
    before = await revision(http)
    json_type = {"content-type": "application/json"}
    for body in (b"", b"{", b'{"name": "\xff"}', b"[]", b'"text"', b"null", b'{"name": "\\ud800"}', b"[" * 5000):
        answer = await http.post(f"/api/v1/{noun}", content=body, headers=json_type)
        assert answer.status_code in {400, 422}, (body[:20], answer.text)
        assert_problem(answer, answer.status_code)
    assert await revision(http) == before


@pytest.mark.parametrize("noun", LISTS)
async def test_a_huge_body_is_refused_unread(http: httpx.AsyncClient, noun: str) -> None:
    body = json.dumps({"name": "x" * (1024 * 1024 + 1)})
    headers = {"content-type": "application/json"}
    assert_problem(await http.post(f"/api/v1/{noun}", content=body, headers=headers), 413)

    async def in_chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 64 * 1024):
            yield body[start : start + 64 * 1024].encode()

    assert_problem(await http.post(f"/api/v1/{noun}", content=in_chunks(), headers=headers), 413)


@pytest.mark.parametrize("noun", LISTS)
@pytest.mark.parametrize("query", ["limit=0", "limit=1000", "limit=many", "cursor=nowhere"])
async def test_a_page_that_can_not_be_is_refused(http: httpx.AsyncClient, noun: str, query: str) -> None:
    assert_problem(await http.get(f"/api/v1/{noun}?{query}"), 422, f"query.{query.partition('=')[0]}")


async def test_a_nul_in_a_path_or_query_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.get("/api/v1/models/a%00b")).status_code in {404, 422}
    assert (await http.get("/api/v1/models?search=a%00b")).status_code == 422
    assert (await http.get("/api/v1/suppliers?name=a%00b")).status_code == 422


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Basic abc", "Bearer", f"Token {ADMIN_TOKEN}"])
async def test_without_the_right_token_nothing_is_shown_or_read(catalog_url: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with httpx.AsyncClient(base_url=catalog_url, headers=headers) as stranger:
        for noun in (*LISTS, "snapshot", "head", "changes?after=0", "parked", "nothing-here"):
            shown = await stranger.get(f"/api/v1/{noun}")
            assert_problem(shown, 401)
            assert shown.headers["www-authenticate"] == "Bearer"
            assert_problem(await stranger.post(f"/api/v1/{noun}", content=b"{"), 401)


async def test_unknown_paths_and_verbs_are_problems_too(http: httpx.AsyncClient) -> None:
    assert_problem(await http.get("/api/v1/nothing-here"), 404)
    assert_problem(await http.put("/api/v1/suppliers", json={}), 405)


async def test_pages_follow_one_another_without_gap_or_double(http: httpx.AsyncClient) -> None:
    earlier = (await http.get("/api/v1/models", params={"limit": 1, "total": True})).json()["total"]
    made = [(await a_model(http))["id"] for _ in range(7)]

    seen: list[str] = []
    cursor: str | None = None
    while True:
        following = {"cursor": cursor} if cursor else {}
        page = (await http.get("/api/v1/models", params={"limit": 3, "total": True, **following})).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert seen[earlier:] == made
    assert page["total"] == earlier + 7 == len(set(seen))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/models?serach=gpt"),
        ("GET", "/api/v1/suppliers?available=true"),
        ("POST", "/api/v1/import?dryrun=true&shape=model_configs"),
        ("POST", "/api/v1/fallback-chains/default?dry-run=true"),
        ("DELETE", "/api/v1/models/gpt-4o?forced=true"),
    ],
)
async def test_a_parameter_that_a_path_does_not_have_is_refused(
    http: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await http.request(method, path, json=[])

    [name] = httpx.URL(path).params.keys() - {"shape"}
    assert_problem(answer, 422, f"query.{name}")


@pytest.mark.parametrize("name", ["..", "../../etc", "a/./b", "a//b", "/a", "a/"])
async def test_a_name_that_clients_would_not_send_as_it_is_is_refused(http: httpx.AsyncClient, name: str) -> None:
    assert_problem(await http.post("/api/v1/models", json={"name": name}), 422, "name")
