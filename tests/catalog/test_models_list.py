"""The list of models: filters, sorting, pages, and what each model shows of its sources."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from builders import a_model, a_served_model, a_source, a_supplier
from catalogs import settings_for
from modelbus.catalog.app import create_app
from modelbus.catalog.store import model_list
from modelbus.catalog.store.model_list import SORTED_BY, ModelFilter
from modelbus.catalog.store.paging import Paging
from modelbus.catalog.store.tables import models
from modelbus.chassis.database import Database
from running import ADMIN_TOKEN, serving
from servers import Databases, FreshDatabase

MANY_MODELS = """
    INSERT INTO catalog.models (id, name, aliases, display_name, description, model_type, is_active, is_available,
        since, provenance, created_at, updated_at)
    SELECT gen_random_uuid(), 'vendor/' || md5(n::text), CASE WHEN n % 50 = 0 THEN ARRAY['alias-' || n] ELSE '{}' END,
        'Model ' || n, 'Does ' || md5((n * 7)::text), 'language', true, true, now(), '{}', now(), now()
    FROM generate_series(1, 20000) AS n;
    ANALYZE catalog.models
"""


@pytest.fixture(scope="module")
async def database(databases: Databases) -> AsyncIterator[FreshDatabase]:
    """One database for all of these, and one catalog; each test has models of its own."""
    async with databases.fresh() as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def http(database: FreshDatabase) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
    ):
        yield client


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    its = Database(database.url("catalog"), service="catalog")
    yield its
    await its.close()


async def listed(http: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/api/v1/models", params=query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def names(http: httpx.AsyncClient, **query: Any) -> list[str]:
    return [item["name"] for item in await listed(http, **query)]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sub_type", "reasoning"),
        ("tier", "max"),
        ("lifecycle", "deprecated"),
        ("model_type", "rerank"),
        ("is_featured", True),
        ("is_active", False),
    ],
)
async def test_a_field_narrows_the_list(http: httpx.AsyncClient, field: str, value: Any) -> None:
    prefix = f"by-{field}"
    await a_model(http, name=f"{prefix}/other")
    await a_model(http, name=f"{prefix}/wanted", **{field: value})

    assert await names(http, search=prefix, **{field: value}) == [f"{prefix}/wanted"]


async def test_availability_reason_and_default_narrow_the_list(http: httpx.AsyncClient) -> None:
    served = await a_served_model(http, name="narrow/served", model_type="moderation")
    await a_model(http, name="narrow/unserved")
    await http.post(f"/api/v1/models/{served['id']}/set-default")

    assert await names(http, search="narrow", is_available=True) == ["narrow/served"]
    assert await names(http, search="narrow", is_available=False) == ["narrow/unserved"]
    assert await names(http, search="narrow", reason="no_source") == ["narrow/unserved"]
    assert await names(http, search="narrow", is_default=True) == ["narrow/served"]


async def test_a_search_finds_every_word_wherever_it_is(http: httpx.AsyncClient) -> None:
    await a_model(
        http,
        name="vendor/zephyr-7",
        display_name="Westwind",
        custom_name="Hauswind",
        description="Blows, 100% gently.",
        aliases=["breeze", "Brise_2"],
    )

    for search in ("ZEPHYR", "west", "hausW", "blows", "breeze", "brise_2", "zephyr blows breeze", "100%", "e_2"):
        assert await names(http, search=search) == ["vendor/zephyr-7"], search
    for search in ("zephyr storm", "zephyr_7", "zephyr%7", "windhaus"):
        assert await names(http, search=search) == [], search


async def test_a_search_among_many_models_reads_no_table_as_a_whole(database: FreshDatabase) -> None:
    wanted = model_list.criteria(ModelFilter(search="zephyr blows"))
    query = sa.select(models.c.id).where(models.c.deleted_at.is_(None), *wanted)
    text = str(query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[no-untyped-call]
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(MANY_MODELS)

    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {text.replace('%%', '%')}"))
    await connection.close()

    assert "Bitmap Index Scan on ix_models_searched" in plan
    assert "Seq Scan" not in plan


async def test_the_supplier_narrows_the_list(http: httpx.AsyncClient) -> None:
    supplier, other = await a_supplier(http), await a_supplier(http)
    wanted = await a_model(http)
    await a_source(http, wanted["id"], supplier["id"])
    gone = await a_model(http)
    source = await a_source(http, gone["id"], supplier["id"])
    await http.delete(f"/api/v1/sources/{source['id']}")
    await a_source(http, (await a_model(http))["id"], other["id"])

    assert await names(http, supplier_id=supplier["id"]) == [wanted["name"]]


async def test_a_category_stands_for_those_below_it(http: httpx.AsyncClient) -> None:
    ids: dict[str | None, str] = {}
    for name, parent in (("top", None), ("middle", "top"), ("leaf", "middle"), ("aside", None)):
        body = {"name": f"branch-{name}", "parent_id": ids.get(parent)}
        ids[name] = (await http.post("/api/v1/categories", json=body)).json()["id"]
    for category, key in ids.items():
        model = await a_model(http, name=f"categorised/{category}")
        answer = await http.put(f"/api/v1/models/{model['id']}/categories/{key}")
        assert answer.status_code == 200, answer.text

    found = {category: await names(http, category_id=ids[category]) for category in ids}

    assert found["top"] == ["categorised/top", "categorised/middle", "categorised/leaf"]
    assert found["middle"] == ["categorised/middle", "categorised/leaf"]
    assert found["aside"] == ["categorised/aside"]


async def test_tags_by_hand_by_rule_and_taken_away_narrow_the_list(http: httpx.AsyncClient) -> None:
    made = await http.post(
        "/api/v1/tags",
        json={"name": "ruled", "display_name": "Ruled", "rule": {"kind": "name_matches", "pattern": "ruled/*"}},
    )
    assert made.status_code == 201, made.text
    tag = made.json()["id"]
    by_hand, by_rule, taken = [await a_model(http, name=name) for name in ("hand/1", "ruled/1", "ruled/2")]
    await http.put(f"/api/v1/models/{by_hand['id']}/tags/{tag}")
    await http.delete(f"/api/v1/models/{taken['id']}/tags/{tag}")

    assert await names(http, tag_id=tag) == [by_hand["name"], by_rule["name"]]


async def test_a_capability_narrows_the_list(http: httpx.AsyncClient) -> None:
    made = await http.post(
        "/api/v1/capabilities",
        json={
            "name": "seeing",
            "display_name": "Seeing",
            "domain": "cv",
            "input_types": ["image"],
            "output_types": ["text"],
        },
    )
    assert made.status_code == 201, made.text
    model = await a_model(http)
    await http.put(f"/api/v1/models/{model['id']}/capabilities/{made.json()['id']}", json={})

    assert await names(http, capability_id=made.json()["id"]) == [model["name"]]


async def test_a_model_shows_its_sources_counts_and_cheapest_cost(http: httpx.AsyncClient) -> None:
    model, supplier = await a_model(http), await a_supplier(http)
    costs = {"dear": {"input": "3", "output": "9"}, "cheap": {"input": "2", "output": "4"}, "off": {"input": "1"}}
    for priority, (upstream_name, cost) in enumerate(costs.items()):
        fields = {
            "upstream_name": upstream_name,
            "cost": cost,
            "priority": priority,
            "is_enabled": upstream_name != "off",
        }
        await a_source(http, model["id"], supplier["id"], **fields)

    [found] = await listed(http, search=model["name"])

    assert [(each["upstream_name"], each["is_available"]) for each in found["sources"]] == [
        ("dear", True),
        ("cheap", True),
        ("off", False),
    ]
    assert {each["supplier_name"] for each in found["sources"]} == {supplier["name"]}
    assert (found["source_count"], found["available_source_count"]) == (3, 2)
    assert (found["cheapest_cost"]["input"], found["cheapest_cost"]["output"]) == ("2", "4")
    assert found["health"] == "unknown"


async def test_a_model_without_sources_has_no_health_and_no_cost(http: httpx.AsyncClient) -> None:
    model = await a_model(http)

    [found] = await listed(http, search=model["name"])

    assert (found["sources"], found["health"], found["cheapest_cost"]) == ([], None, None)


async def test_health_is_that_of_the_best_available_source(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    supplier = await a_supplier(http)
    kinds = {"well": ["down", "healthy"], "half": ["degraded", "unknown"], "new": ["unknown", "down"], "ill": ["down"]}
    for name, healths in kinds.items():
        model = await a_model(http, name=f"health/{name}")
        for health in healths:
            source = await a_source(http, model["id"], supplier["id"])
            await _set_health(database, source["id"], health)
    off = await a_source(http, (await a_model(http, name="health/off"))["id"], supplier["id"], is_enabled=False)
    await _set_health(database, off["id"], "healthy")

    shown = {item["name"].removeprefix("health/"): item["health"] for item in await listed(http, search="health/")}
    found = {
        health: await names(http, search="health/", health=health)
        for health in ("healthy", "degraded", "unknown", "down")
    }

    assert shown == {"well": "healthy", "half": "degraded", "new": "unknown", "ill": "down", "off": None}
    assert found == {
        "healthy": ["health/well"],
        "degraded": ["health/half"],
        "unknown": ["health/new"],
        "down": ["health/ill"],
    }


async def test_a_model_shows_its_charge_margin_and_how_it_stands_to_its_price(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    priced, pending, orphaned, idle = [await a_model(http, sub_type="to-price") for _ in range(4)]
    for model in (priced, pending):
        for cost in ("3", "2"):
            await a_source(http, model["id"], supplier["id"], cost={"input": cost})
    for model in (priced, orphaned):
        body = {"model_id": model["id"], "prices": {"input": "2.5", "output": "10"}}
        assert (await http.post("/api/v1/prices", json=body)).status_code == 201

    shown = {item["id"]: item for item in await listed(http, sub_type="to-price")}
    by_state = {
        state: [item["id"] for item in await listed(http, sub_type="to-price", price_state=state)]
        for state in ("priced", "pending", "orphaned")
    }

    assert {state: [found] for state, [found] in by_state.items()} == {
        "priced": [priced["id"]],
        "pending": [pending["id"]],
        "orphaned": [orphaned["id"]],
    }
    assert [shown[each["id"]]["price_state"] for each in (priced, pending, orphaned, idle)] == [
        "priced",
        "pending",
        "orphaned",
        None,
    ]
    found = shown[priced["id"]]
    assert (found["charge"]["input"], found["charge"]["output"]) == ("2.5", "10")
    assert found["margin"]["input"] == {"amount": "0.5", "percent": "20"}
    assert found["margin"]["is_negative"] is False
    assert (shown[pending["id"]]["charge"], shown[pending["id"]]["margin"]["input"]) == (None, None)


async def test_the_total_is_counted_when_asked_for(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        await a_model(http, sub_type="counted")
    query: dict[str, Any] = {"sub_type": "counted", "limit": 1}

    assert (await http.get("/api/v1/models", params=query)).json()["total"] is None
    assert (await http.get("/api/v1/models", params={**query, "total": True})).json()["total"] == 3


@pytest.mark.parametrize("field", ["created_at", *SORTED_BY])
@pytest.mark.parametrize("sign", ["", "-"])
async def test_pages_in_any_order_hold_everything_once(http: httpx.AsyncClient, field: str, sign: str) -> None:
    kind = f"paged-{field}{sign}"
    supplier = await a_supplier(http)
    for number in range(7):
        # Values that repeat and that are missing, across the edges of pages.
        window = {"context_window": number // 2 * 1000} if number > 1 else {}
        model = await a_model(http, sub_type=kind, display_name=f"N {number // 3}", **window)
        for _ in range(number % 3):
            await a_source(http, model["id"], supplier["id"])
    query = {"sub_type": kind, "sort": f"{sign}{field}"}
    at_once = await listed(http, **query)

    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await http.get("/api/v1/models", params={**query, "limit": 2, **cursor})).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == at_once
    assert len(at_once) == 7
    values = [(item[field] or 0, item["id"]) for item in at_once]
    assert values == sorted(values, reverse=sign == "-")


async def test_a_page_takes_the_same_statements_however_many_models_it_has(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier = await a_supplier(http)
    for _ in range(12):
        model = await a_model(http, sub_type="measured")
        for _ in range(3):
            await a_source(http, model["id"], supplier["id"])
    statements: list[str] = []

    @sa.event.listens_for(opened._engine.sync_engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    taken = []
    for limit in (1, 12):
        statements.clear()
        async with opened.reading() as session:
            found, _ = await model_list.list_models(
                session, ModelFilter(sub_type="measured"), paging=Paging(limit=limit)
            )
        taken.append([statement.split(maxsplit=1)[0] for statement in statements])
        assert len(found) == limit
        assert all(len(each.sources) == 3 for each in found)

    assert taken == [["SELECT"] * 3] * 2


@pytest.mark.parametrize(
    "query",
    ["health=splendid", "tier=gold", "category_id=no", "sort=colour", "total=perhaps", "reason=fate", "search=a%00"],
)
async def test_a_filter_that_can_not_be_is_refused(http: httpx.AsyncClient, query: str) -> None:
    answer = await http.get(f"/api/v1/models?{query}")

    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def _set_health(database: FreshDatabase, source_id: str, health: str) -> None:
    opened = Database(database.url("catalog"), service="catalog")
    async with opened.transaction() as session:
        statement = sa.text("UPDATE sources SET health = :health WHERE id = :id")
        await session.execute(statement, {"health": health, "id": source_id})
    await opened.close()
