"""What a model or a source can't be is refused, with the field that is wrong, and nothing is changed."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from builders import a_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import settings_for
from modelbus.catalog.app import create_app
from modelbus.chassis.ids import new_id
from running import ADMIN_TOKEN, serving
from servers import Databases, FreshDatabase


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


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tier": "gold"}, "tier"),
        ({"lifecycle": "dying"}, "lifecycle"),
        ({"knowledge_cutoff": "2026-02-30"}, "knowledge_cutoff"),
        ({"retires_at": "2026-01-01T00:00:00"}, "retires_at"),
        ({"deprecated_at": "2030-01-02T00:00:00Z", "retires_at": "2030-01-01T00:00:00Z"}, "retires_at"),
        ({"replacement_model_id": "vendor/other"}, "replacement_model_id"),
        ({"replacement_model_id": str(new_id())}, "replacement_model_id"),
        ({"sub_type": ""}, "sub_type"),
        ({"custom_name": "a\x00b"}, "custom_name"),
        ({"is_default": True}, "is_default"),
        ({"provenance": {}}, "provenance"),
    ],
)
async def test_a_field_that_can_not_be_is_refused(http: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    model = await a_model(http)
    path = f"/api/v1/models/{model['id']}"
    answers = [
        await http.post("/api/v1/models", json={"name": f"vendor/{new_id()}-fine", **change}),
        await http.patch(path, json=change),
        await http.put(path, json={"name": model["name"], **change}),
    ]

    assert [(answer.status_code, fields_of(answer)) for answer in answers] == [(422, [field])] * 3
    assert await shown(http, path) == model


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"priority": -1}, "priority"),
        ({"priority": 1001}, "priority"),
        ({"weight": 0}, "weight"),
        ({"weight": 10**20}, "weight"),
        ({"protocol": "smtp"}, "protocol"),
        ({"features": {"tools": "perhaps"}}, "features.tools"),
        ({"features": ["tools"]}, "features"),
        ({"features": {"\x00": True}}, "features.\x00.[key]"),
        ({"features": {f"f{n}": True for n in range(51)}}, "features"),
    ],
)
async def test_a_source_that_can_not_be_is_refused(http: httpx.AsyncClient, change: dict[str, Any], field: str) -> None:
    source = await a_source(http, (await a_model(http))["id"], (await a_supplier(http))["id"])

    answer = await http.patch(f"/api/v1/sources/{source['id']}", json=change)

    assert (answer.status_code, fields_of(answer)) == (422, [field])
