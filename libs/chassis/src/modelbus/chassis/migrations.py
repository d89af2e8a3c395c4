"""Migrations: Alembic without ini files, one version table per schema, one service at a time."""

import asyncio
import importlib.resources
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from modelbus.chassis.database import engine_url, plain_dsn

LOCK_TIMEOUT_MS = 10_000


def migrate(package: str, url: str, schema: str) -> None:
    """Bring the schema to the newest revision in `<package>.store.migrations`."""
    asyncio.run(_migrate(script_directory(package), url, schema))


def script_directory(package: str) -> ScriptDirectory:
    """Answer the service's migrations."""
    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files(f"{package}.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


async def _migrate(script: ScriptDirectory, url: str, schema: str) -> None:
    engine = create_async_engine(engine_url(url), poolclass=sa.NullPool, connect_args={"dsn": plain_dsn(url)})
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_upgrade, script, schema)
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, script: ScriptDirectory, schema: str) -> None:
    # Two replicas that start together must not both migrate; the lock goes with the transaction.
    connection.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"{schema}.migrate"})
    connection.execute(sa.text(f'SET LOCAL search_path TO "{schema}"'))

    def upgrade(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - how alembic.command.upgrade itself asks

    with EnvironmentContext(Config(), script, fn=upgrade) as environment:
        environment.configure(connection=connection, version_table_schema=schema, transactional_ddl=True)
        environment.run_migrations()
