"""PostgreSQL answers the main questions by its indexes: no question reads a big table from end to end."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from catalogs import settings_for
from large import BIG, fill
from modelbus.catalog.app import create_app
from running import ADMIN_TOKEN, serving
from servers import Databases, FreshDatabase

MODELS, SUPPLIERS = 5_000, 4

# One line for each main question: the request that makes the catalog ask it.
QUESTIONS = {
    "models": "GET /api/v1/models",
    "models of a supplier": "GET /api/v1/models?supplier_id={supplier}",
    "models by type": "GET /api/v1/models?model_type=image&is_available=true",
    "models by words": "GET /api/v1/models?search=model-1234",
    "models by name": "GET /api/v1/models?sort=name",
    "models by display name, newest first": "GET /api/v1/models?sort=-display_name",
    "one model": "GET /api/v1/models/{name}",
    "sources of a model": "GET /api/v1/models/{name}/sources",
    "sources": "GET /api/v1/sources",
    "sources of a supplier": "GET /api/v1/sources?supplier_id={supplier}",
    "sources that are not available": "GET /api/v1/sources?is_available=false",
    "sources by upstream name": "GET /api/v1/sources?upstream_name={name}",
    "one source": "GET /api/v1/sources/{source}",
    "versions of a source": "GET /api/v1/sources/{source}/versions",
    "audit log": "GET /api/v1/audit",
    "changes": "GET /api/v1/changes?after={revision}",
    "head": "GET /api/v1/head",
    "an alias that is taken": 'POST /api/v1/models {{"name": "new", "aliases": ["alias-100"]}}',
    "a change of a source": 'PATCH /api/v1/sources/{source} {{"priority": 7}}',
    "a source that goes": "POST /api/v1/sources/{source}/disable",
}


@pytest.fixture(scope="module")
async def large(databases: Databases) -> AsyncIterator[FreshDatabase]:
    async with databases.fresh() as fresh:
        await fill(fresh.superuser(), models=MODELS, suppliers=SUPPLIERS, events=MODELS * SUPPLIERS)
        yield fresh


@pytest.fixture(scope="module")
async def http(large: FreshDatabase) -> AsyncIterator[httpx.AsyncClient]:
    token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        serving(create_app(settings_for(large, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers=token, timeout=30) as client,
    ):
        # The feed is read from the tables once, at the start; that is whole tables by design.
        assert (await client.get("/api/v1/head")).status_code == httpx.codes.OK
        yield client


@pytest.fixture(scope="module")
async def known(large: FreshDatabase) -> dict[str, Any]:
    connection = await asyncpg.connect(large.superuser())
    try:
        row = await connection.fetchrow(
            """
            SELECT sources.id AS source, supplier_id AS supplier, name, head.version - 10 AS revision
            FROM catalog.sources JOIN catalog.models ON models.id = model_id CROSS JOIN catalog.catalog_head AS head
            WHERE name LIKE '%/model-77' LIMIT 1
            """
        )
    finally:
        await connection.close()
    assert row is not None
    return dict(row)


@contextmanager
def questions() -> Iterator[list[tuple[str, Any]]]:
    """Note each statement that the catalog sends, with its parameters, as the driver gets them."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, is_many: bool) -> None:  # noqa: FBT001 - SQLAlchemy's own signature
        sent.append((statement, parameters[0] if is_many else parameters))

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)


def read_from_end_to_end(plan: dict[str, Any]) -> list[str]:
    below = [table for child in plan.get("Plans", ()) for table in read_from_end_to_end(child)]
    is_whole = plan["Node Type"] == "Seq Scan" and plan["Relation Name"] in BIG
    return [*below, *([plan["Relation Name"]] if is_whole else [])]


async def whole_scans(large: FreshDatabase, sent: list[tuple[str, Any]]) -> dict[str, list[str]]:
    """Explain each statement, and answer those that read a big table from end to end."""
    connection = await asyncpg.connect(large.superuser(), server_settings={"search_path": "catalog"})
    found = {}
    try:
        for statement, parameters in sent:
            if statement.lstrip().partition(" ")[0] not in {"SELECT", "UPDATE", "INSERT", "DELETE", "WITH"}:
                continue
            explained = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *parameters)
            if tables := read_from_end_to_end(json.loads(explained)[0]["Plan"]):
                found[statement] = tables
    finally:
        await connection.close()
    return found


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_no_main_question_reads_a_big_table_from_end_to_end(
    http: httpx.AsyncClient, large: FreshDatabase, known: dict[str, Any], question: str
) -> None:
    method, path, *body = question.format(**known).split(" ", 2)

    with questions() as sent:
        answer = await http.request(method, path, json=json.loads(body[0]) if body else None)

    assert answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR, answer.text
    assert any(
        table in statement
        for statement, _ in sent
        for table in ("models", "sources", "outbox", "audit", "catalog_head")
    )
    assert await whole_scans(large, sent) == {}


async def test_a_question_without_an_index_is_found(large: FreshDatabase) -> None:
    sent = [("SELECT id FROM catalog.sources WHERE weight = $1::INTEGER", (5,))]

    assert list((await whole_scans(large, sent)).values()) == [["sources"]]
