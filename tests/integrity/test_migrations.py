"""The migrations make exactly the tables that the code believes in."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from modelbus.integrity.store.tables import SCHEMA, metadata
from servers import FreshDatabase


def _difference(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection,
        opts={
            "include_schemas": True,
            "include_name": lambda name, kind, _: (kind != "schema" or name == SCHEMA) and name != "alembic_version",
            "version_table_schema": SCHEMA,
            "compare_type": True,
            "compare_server_default": True,
        },
    )
    return list(compare_metadata(context, metadata))


async def test_migrated_schema_equals_the_tables(database: FreshDatabase) -> None:
    # The role itself would see its schema without its name, as the default one.
    engine = create_async_engine(make_url(database.superuser()).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            difference = await connection.run_sync(_difference)
    finally:
        await engine.dispose()

    assert difference == []
