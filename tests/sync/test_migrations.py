"""The migrations make exactly the tables that the code speaks of."""

from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from modelbus.sync.store.tables import SCHEMA, metadata
from servers import FreshDatabase


def differences(connection: Connection) -> list[Any]:
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
        "include_object": lambda _object, name, kind, *_: kind != "table" or name != "alembic_version",
        "compare_type": True,
        "compare_server_default": True,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_migrations_and_tables_are_equal(database: FreshDatabase) -> None:
    engine = create_async_engine(
        make_url(database.url("sync")).set(drivername="postgresql+asyncpg"),
        # With the role's own search path, its tables would be taken for those of the default schema.
        connect_args={"server_settings": {"search_path": "pg_catalog"}},
    )
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
            heads = await connection.execute(sa.text("SELECT epoch, version FROM sync.sync_head"))
            [(epoch, version)] = heads.all()
    finally:
        await engine.dispose()

    assert epoch is not None
    assert version == 0
