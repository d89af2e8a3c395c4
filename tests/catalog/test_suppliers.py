import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, event

from builders import a_credential, a_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import Told, settings_for
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.actions.versions import write
from modelbus.catalog.app import create_app
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import (
    CredentialChanged,
    ModelAvailable,
    ModelUnavailable,
    SourceChanged,
    SupplierChanged,
    SyncRequested,
)
from modelbus.contracts.sync import ListedModel, Listing
from running import ADMIN_TOKEN, serving
from servers import FreshDatabase

SUPPLIERS = "/api/v1/suppliers"


async def names(http: httpx.AsyncClient, query: str) -> list[str]:
    return [item["name"] for item in (await shown(http, f"{SUPPLIERS}?{query}"))["items"]]


async def run(database: FreshDatabase, statement: str, *values: Any) -> None:
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(statement, *values)
    await connection.close()


async def list_models(database: FreshDatabase, supplier: dict[str, Any], revision: int, *upstream_names: str) -> None:
    """Let sync bring a listing."""
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
    models = [ListedModel(upstream_name=name) for name in upstream_names]
    listing = Listing(run_id=new_id(), supplier_id=supplier["id"], digest="d", models=models, left_out=[])
    async with catalog.transaction() as session:
        await apply_listing(session, listing, revision)
    await catalog.close()


@contextmanager
def counted_statements() -> Iterator[list[str]]:
    statements: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if (
            "FROM catalog.suppliers" in statement
            or "FROM catalog.credentials" in statement
            or ("FROM catalog.sources" in statement)
        ):
            statements.append(statement)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", count)


async def test_what_describes_a_supplier_is_kept_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    described = {
        "description": "Many models behind one key.",
        "website": "https://example.com",
        "docs_url": "https://docs.example.com/api?lang=en#start",
        "logo_url": "https://cdn.example.com/logo.svg?v=2",
        "category": "Aggregators",
    }

    made = await a_supplier(http, kind="aggregator", **described)

    assert {name: made[name] for name in described} == described
    assert await shown(http, f"{SUPPLIERS}/{made['id']}") == made
    record = (await told(SupplierChanged))[-1].record
    assert {name: getattr(record, name) for name in described} == described


async def test_a_changed_address_or_protocol_is_told(http: httpx.AsyncClient, told: Told) -> None:
    made = await a_supplier(http)
    path = f"{SUPPLIERS}/{made['id']}"

    await http.patch(path, json={"base_url": "http://127.0.0.1:10/v2"})
    await http.patch(path, json={"protocol": "anthropic"})

    assert [(each.record.base_url, each.record.protocol) for each in await told(SupplierChanged)] == [
        ("http://127.0.0.1:9/v1", "openai"),
        ("http://127.0.0.1:10/v2", "openai"),
        ("http://127.0.0.1:10/v2", "anthropic"),
    ]


@pytest.mark.parametrize(
    ("base_url", "is_local"),
    [
        ("http://127.0.0.1/v1", False),
        ("http://localhost:11434/v1", False),
        ("http://api.localhost./v1", False),
        ("http://2130706433/v1", False),
        ("http://10.1.2.3/v1", False),
        ("http://[::1]/v1", False),
        ("http://[::ffff:10.0.0.1]/v1", False),
        ("http://169.254.169.254/latest", True),
        ("http://[fe80::1]/v1", True),
    ],
)
async def test_an_address_where_no_supplier_may_be_is_refused(
    http: httpx.AsyncClient, told: Told, base_url: str, *, is_local: bool
) -> None:
    good = await a_supplier(http, base_url="https://api.example.com/v1", is_local=is_local)
    wrong = {"base_url": base_url, "is_local": is_local}

    answers = [
        await http.post(SUPPLIERS, json={"name": "wrong", "kind": "direct", **wrong}),
        await http.patch(f"{SUPPLIERS}/{good['id']}", json=wrong),
    ]

    assert [(each.status_code, each.json()["code"], fields_of(each)) for each in answers] == [
        (422, "address_refused", ["base_url"])
    ] * 2
    assert len(await told(SupplierChanged)) == 1


async def test_a_local_supplier_can_not_become_another_while_its_address_is_private(http: httpx.AsyncClient) -> None:
    made = await a_supplier(http, base_url="http://127.0.0.1:9/v1", is_local=True)
    path = f"{SUPPLIERS}/{made['id']}"

    refused = await http.patch(path, json={"is_local": False})
    moved = await http.patch(path, json={"is_local": False, "base_url": "https://api.example.com/v1"})

    assert (refused.status_code, refused.json()["code"]) == (422, "address_refused")
    assert (moved.status_code, moved.json()["is_local"]) == (200, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logo_url", "javascript:alert(1)"),
        ("logo_url", "data:image/png;base64,AAAA"),
        ("website", "https://user:password@example.com"),
        ("docs_url", "not a url"),
        ("category", ""),
        ("category", "two\nlines"),
        ("category", "x" * 201),
        ("base_url", "https://api.example.com/v1?key=secret"),
    ],
)
async def test_what_can_not_describe_a_supplier_is_refused_by_its_field(
    http: httpx.AsyncClient, field: str, value: str
) -> None:
    made = await a_supplier(http)

    answer = await http.patch(f"{SUPPLIERS}/{made['id']}", json={field: value})

    assert (answer.status_code, fields_of(answer)) == (422, [field])


async def test_items_carry_counts_and_the_health_of_what_is_available(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    made = await a_supplier(http, requires_credential=True)
    for field in ({}, {"is_active": False}, {"secret": "sk-another-0123456789"}):
        await a_credential(http, made["id"], **field)
    sources = [await a_source(http, (await a_model(http))["id"], made["id"]) for _ in range(4)]
    await http.post(f"/api/v1/sources/{sources[0]['id']}/disable")
    await run(database, "UPDATE catalog.credentials SET state = 'dead' WHERE hint LIKE '%cdef' AND is_active")

    [item] = (await shown(http, SUPPLIERS))["items"]

    assert (item["credentials"], item["credentials_usable"]) == (3, 1)
    assert (item["sources"], item["sources_available"], item["health"]) == (4, 3, "unknown")
    assert await shown(http, f"{SUPPLIERS}/{made['id']}") == item


@pytest.mark.parametrize(
    ("healths", "together"),
    [
        (["healthy", "unknown"], "healthy"),
        (["healthy", "degraded"], "degraded"),
        (["down", "healthy"], "degraded"),
        (["down", "unknown"], "degraded"),
        (["down", "down"], "down"),
    ],
)
async def test_the_health_of_a_supplier_is_that_of_its_sources_together(
    http: httpx.AsyncClient, database: FreshDatabase, healths: list[str], together: str
) -> None:
    made, other = await a_supplier(http), await a_supplier(http)
    for health in healths:
        source = await a_source(http, (await a_model(http))["id"], made["id"])
        await run(database, "UPDATE catalog.sources SET health = $1 WHERE id = $2::text::uuid", health, source["id"])

    assert (await shown(http, f"{SUPPLIERS}/{made['id']}"))["health"] == together
    assert await names(http, f"health={together}") == [made["name"]]
    assert await names(http, "health=unknown") == [other["name"]]


async def test_a_list_takes_as_many_statements_for_many_suppliers_as_for_one(http: httpx.AsyncClient) -> None:
    async def taken() -> int:
        with counted_statements() as statements:
            await shown(http, f"{SUPPLIERS}?limit=200")
        return len(statements)

    await a_supplier(http)
    for_one = await taken()
    for _ in range(5):
        supplier = await a_supplier(http)
        await a_credential(http, supplier["id"])
        await a_source(http, (await a_model(http))["id"], supplier["id"])

    assert await taken() == for_one == 3


async def test_suppliers_are_found_by_each_filter(http: httpx.AsyncClient) -> None:
    one = await a_supplier(http, name="one", kind="aggregator", flavour="openrouter", category="Big")
    await a_supplier(http, name="two", protocol="anthropic", is_active=False, description="Speaks 100% else")
    await a_supplier(http, name="three", display_name="The third")
    await a_credential(http, one["id"])

    found = {
        query: await names(http, query)
        for query in (
            "kind=aggregator",
            "protocol=anthropic",
            "flavour=openrouter",
            "category=Big",
            "is_active=false",
            "has_credential=true",
            "has_credential=false",
            "search=THIRD",
            "search=100%25",
            "search=_",
            "name=two",
            "kind=direct&is_active=true",
        )
    }

    assert found == {
        "kind=aggregator": ["one"],
        "protocol=anthropic": ["two"],
        "flavour=openrouter": ["one"],
        "category=Big": ["one"],
        "is_active=false": ["two"],
        "has_credential=true": ["one"],
        "has_credential=false": ["two", "three"],
        "search=THIRD": ["three"],
        "search=100%25": ["two"],
        "search=_": [],
        "name=two": ["two"],
        "kind=direct&is_active=true": ["three"],
    }


@pytest.mark.parametrize("query", ["kind=friend", "health=fine", "sort=secret", "is_active=perhaps", "search=a%00b"])
async def test_a_filter_that_can_not_be_is_refused(http: httpx.AsyncClient, query: str) -> None:
    answer = await http.get(f"{SUPPLIERS}?{query}")

    assert answer.status_code == 422, answer.text


async def test_suppliers_are_sorted_and_paged_without_gap_or_double(http: httpx.AsyncClient) -> None:
    for name in ("b", "d", "a", "c"):
        await a_supplier(http, name=name)

    first = await shown(http, f"{SUPPLIERS}?sort=-name&limit=2")
    await a_supplier(http, name="e")
    rest = await shown(http, f"{SUPPLIERS}?sort=-name&limit=5&cursor={first['next_cursor']}")

    assert [item["name"] for item in first["items"] + rest["items"]] == ["d", "c", "b", "a"]


async def test_a_deleted_supplier_takes_its_credentials_with_it_and_their_secrets_are_forgotten(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    supplier, model = await a_supplier(http, requires_credential=True), await a_model(http)
    credential = await a_credential(http, supplier["id"])
    source = await a_source(http, model["id"], supplier["id"])

    assert (await http.delete(f"{SUPPLIERS}/{supplier['id']}")).status_code == 204

    assert (await http.get(f"/api/v1/credentials/{credential['id']}")).status_code == 404
    assert [str(each.id) for each in await told(CredentialChanged) if each.deleted] == [credential["id"]]
    assert (await shown(http, f"/api/v1/sources/{source['id']}"))["reason"] == "deleted"
    connection = await asyncpg.connect(database.superuser())
    assert await connection.fetchval("SELECT string_agg(sealed, '') FROM catalog.credentials") == ""
    await connection.close()


async def test_a_supplier_created_again_comes_back_and_its_listing_brings_its_sources_back(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    before = await a_supplier(http, name="acme", description="old")
    await list_models(database, before, 1, "large", "small")
    by_hand = await a_source(http, (await a_model(http))["id"], before["id"])
    sources = {item["upstream_name"]: item["id"] for item in (await shown(http, "/api/v1/sources"))["items"]}
    await http.delete(f"{SUPPLIERS}/{before['id']}")

    after = await a_supplier(http, name="acme", kind="aggregator")

    assert (after["id"], after["kind"], after["description"]) == (before["id"], "aggregator", None)
    assert after["version"] > before["version"]
    reasons = {item["id"]: item["reason"] for item in (await shown(http, "/api/v1/sources"))["items"]}
    assert reasons == {sources["large"]: "delisted", sources["small"]: "delisted", by_hand["id"]: None}
    assert [(each.deleted, str(each.id)) for each in await told(SupplierChanged)] == [
        (False, before["id"]),
        (True, before["id"]),
        (False, before["id"]),
    ]
    await list_models(database, after, 2, "large")
    items = (await shown(http, "/api/v1/sources"))["items"]
    assert {item["id"]: item["is_available"] for item in items} == {
        sources["large"]: True,
        sources["small"]: False,
        by_hand["id"]: True,
    }


async def test_a_supplier_that_comes_back_keeps_its_history(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    before = await a_supplier(http, name="acme")
    await http.patch(f"{SUPPLIERS}/{before['id']}", json={"category": "a"})
    await http.delete(f"{SUPPLIERS}/{before['id']}")
    await a_supplier(http, name="acme")

    connection = await asyncpg.connect(database.superuser())
    query = "SELECT number, document IS NULL FROM catalog.versions WHERE kind = 'supplier' ORDER BY number"
    rows = [tuple(row) for row in await connection.fetch(query)]
    await connection.close()

    assert rows == [(1, False), (2, False), (3, True), (4, False)]


async def test_two_that_bring_the_same_supplier_back_at_once_make_one(http: httpx.AsyncClient) -> None:
    made = await a_supplier(http, name="acme")
    await http.delete(f"{SUPPLIERS}/{made['id']}")
    body = {"name": "acme", "kind": "direct", "base_url": "https://api.example.com/v1"}

    answers = await asyncio.gather(*(http.post(SUPPLIERS, json=body) for _ in range(4)))

    assert sorted(each.status_code for each in answers) == [201, 409, 409, 409]
    assert [item["id"] for item in (await shown(http, SUPPLIERS))["items"]] == [made["id"]]


async def test_a_supplier_that_alone_serves_what_is_referred_to_goes_only_by_force(
    http: httpx.AsyncClient, told: Told
) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    await a_source(http, model["id"], supplier["id"])
    steps = [{"model_id": model["id"]}]
    assert (await http.post("/api/v1/fallback-chains", json={"name": "smart", "steps": steps})).status_code == 201
    path = f"{SUPPLIERS}/{supplier['id']}"

    refused = [
        await http.post(f"{path}/disable"),
        await http.patch(path, json={"is_active": False}),
        await http.delete(path),
    ]
    assert [(each.status_code, len(each.json()["findings"])) for each in refused] == [(409, 1)] * 3
    assert await told(ModelUnavailable) == []

    assert (await http.post(f"{path}/disable?force=true")).status_code == 200
    assert [str(each.model_id) for each in await told(ModelUnavailable)] == [model["id"]]


async def test_a_change_that_availability_does_not_depend_on_leaves_the_sources_alone(
    http: httpx.AsyncClient, told: Told
) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    await a_source(http, model["id"], supplier["id"])
    before = len(await told(SourceChanged)), len(await told(ModelAvailable))

    await http.patch(f"{SUPPLIERS}/{supplier['id']}", json={"display_name": "Renamed", "category": "x"})

    assert (len(await told(SourceChanged)), len(await told(ModelAvailable))) == before


async def test_a_listing_can_be_asked_for_unless_the_supplier_is_disabled(http: httpx.AsyncClient, told: Told) -> None:
    supplier = await a_supplier(http)
    path = f"{SUPPLIERS}/{supplier['id']}"

    asked = await http.post(f"{path}/sync")
    await http.post(f"{path}/disable")
    refused = await http.post(f"{path}/sync")

    assert asked.status_code == 202
    assert (refused.status_code, refused.json()["code"]) == (409, "supplier_not_syncable")
    assert [(str(each.run_id), each.cause) for each in await told(SyncRequested)] == [
        (asked.json()["run_id"], "administrator")
    ]


async def test_a_flavour_that_sync_has_learnt_is_taken_and_no_other(database: FreshDatabase) -> None:
    sync = FastAPI()
    sync.get("/api/v1/flavours")(lambda: {"items": ["openai", "newest"]})
    body = {"kind": "direct", "base_url": "https://api.example.com/v1"}
    async with serving(sync) as sync_url:
        app = create_app(settings_for(database, "nats://127.0.0.1:9", sync_url=sync_url))
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        async with serving(app) as url, httpx.AsyncClient(base_url=url, headers=headers) as http:
            taken = await http.post("/api/v1/suppliers", json={**body, "name": "one", "flavour": "newest"})
            refused = await http.post("/api/v1/suppliers", json={**body, "name": "two", "flavour": "nonsense"})
            path = f"/api/v1/suppliers/{taken.json()['id']}"
            changed = await http.patch(path, json={"flavour": "nonsense"})

    assert (taken.status_code, taken.json()["flavour"]) == (201, "newest")
    wanted = [{"field": "flavour", "message": "must be one of newest, openai"}]
    for answer in (refused, changed):
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_flavour")
        assert answer.json()["errors"] == wanted
