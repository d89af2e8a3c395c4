"""A running catalog for the tests of its REST API."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest

from catalogs import Told, settings_for
from modelbus.catalog.app import create_app
from modelbus.contracts.event import Event, read_event
from running import ADMIN_TOKEN, serving
from servers import FreshDatabase
from testing_bus import LocalBus


@pytest.fixture
async def catalog_url(database: FreshDatabase) -> AsyncIterator[str]:
    """The catalog with its database, and no bus: nothing that an administrator does needs one."""
    async with serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url:
        yield url


@pytest.fixture
async def catalog_with_bus(database: FreshDatabase, bus: LocalBus) -> AsyncIterator[str]:
    async with serving(create_app(settings_for(database, bus.url))) as url:
        yield url


@pytest.fixture
async def http(catalog_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the administrator's token."""
    async with httpx.AsyncClient(
        base_url=catalog_url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=20
    ) as client:
        yield client


@pytest.fixture
def told(database: FreshDatabase) -> Told:
    """What the outbox holds of a type of event, oldest first."""

    async def read(event_type: type[Event]) -> list[Any]:
        connection = await asyncpg.connect(database.superuser())
        try:
            query = "SELECT body FROM catalog.outbox WHERE type = $1 ORDER BY revision"
            rows = await connection.fetch(query, event_type.type)
        finally:
            await connection.close()
        return [read_event(event_type, row["body"].encode()) for row in rows]

    return read
