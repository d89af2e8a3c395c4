"""The tables in code and the tables that the migrations make are the same."""

import importlib
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from servers import FreshDatabase

SERVICES = ("catalog", "sync", "integrity")


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_make_the_tables_that_the_code_knows(database: FreshDatabase, service: str) -> None:
    metadata = importlib.import_module(f"modelbus.{service}.store.tables").metadata
    # As superuser, whose search path does not hide the schema's name.
    engine = create_async_engine(make_url(database.superuser()).set(drivername="postgresql+asyncpg"))

    def compare(connection: sa.Connection) -> list[Any]:
        def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
            return kind != "schema" or name == service

        options = {"include_schemas": True, "include_name": is_ours, "version_table_schema": service}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with engine.connect() as connection:
        differences = await connection.run_sync(compare)
    await engine.dispose()

    assert differences == []


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_can_not_read_another_services_tables(database: FreshDatabase, service: str) -> None:
    for other in set(SERVICES) - {service}:
        engine = create_async_engine(make_url(database.url(service)).set(drivername="postgresql+asyncpg"))
        async with engine.connect() as connection:
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                await connection.execute(sa.text(f"SELECT * FROM {other}.outbox"))
        await engine.dispose()
