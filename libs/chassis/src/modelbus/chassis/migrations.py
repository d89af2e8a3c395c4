"""Migrations: Alembic without ini files, one version table per schema, one service at a time, while it serves."""

import asyncio
import importlib.resources
from time import monotonic
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from modelbus.chassis.database import engine_url, plain_dsn
from modelbus.chassis.database_outages import is_outage
from modelbus.chassis.entry import TryAgainError
from modelbus.chassis.outages import distrust
from modelbus.chassis.settings import DatabaseSettings

LOCK_TIMEOUT_MS = 2_000
"""Whoever comes behind a waiting migration waits as long; so it waits briefly, and often."""
PAUSE_S = 1.0
WAIT_S = 60.0
STATEMENT_S = 600.0

_LOCKS = "others have held locks that the migration needs; see pg_stat_activity for long transactions"
_IN_THE_WAY = dict.fromkeys(("55P03", "40P01"), _LOCKS)
"""By PostgreSQL's state; whoever is given up for a deadlock need only come again."""
_TOO_LONG = "57014"


def migrate_service(name: str) -> None:
    """Bring a service's schema up to date, with the database and the patience that the environment names.

    Raises:
        TryAgainError: as `migrate` does.
    """
    settings = DatabaseSettings()
    url = settings.database_url.get_secret_value()
    wait_s, statement_s = settings.migration_wait_s, settings.migration_statement_s
    migrate(f"modelbus.{name}", url, name, wait_s=wait_s, statement_s=statement_s)


def migrate(
    package: str, url: str, schema: str, *, to: str = "head", wait_s: float = WAIT_S, statement_s: float = STATEMENT_S
) -> None:
    """Bring the schema to a revision in `<package>.store.migrations`: all that is between in one transaction, or none.

    Raises:
        TryAgainError: PostgreSQL is away, or others hold locks that it needs, for longer than `wait_s`, or a
            statement takes `statement_s`.
    """
    script = script_directory(package)
    arguments = {"dsn": plain_dsn(url)}
    engine = create_async_engine(engine_url(url), poolclass=sa.NullPool, connect_args=arguments, hide_parameters=True)
    asyncio.run(_migrate(_Migration(script, schema, to, statement_s), engine, wait_s))


def script_directory(package: str) -> ScriptDirectory:
    """Answer the service's migrations."""
    config = Config()
    config.set_main_option("script_location", str(importlib.resources.files(f"{package}.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


class _Migration:
    """What is done in one transaction."""

    def __init__(self, script: ScriptDirectory, schema: str, to: str, statement_s: float) -> None:
        self.schema, self.statement_s = schema, statement_s
        self._script, self._to = script, to

    def run(self, connection: Connection) -> None:
        connection.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {round(self.statement_s * 1000)}"))
        # Two replicas that start together must not both migrate; the lock goes with the transaction.
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"{self.schema}.migrate"})
        connection.execute(sa.text(f'SET LOCAL search_path TO "{self.schema}"'))
        with EnvironmentContext(Config(), self._script, fn=self._upgrade) as environment:
            environment.configure(connection=connection, version_table_schema=self.schema, transactional_ddl=True)
            environment.run_migrations()

    def _upgrade(self, revision: Any, _context: Any) -> Any:
        return self._script._upgrade_revs(self._to, revision)  # noqa: SLF001 - how alembic.command.upgrade itself asks


async def _migrate(migration: _Migration, engine: AsyncEngine, wait_s: float) -> None:
    deadline = monotonic() + wait_s
    try:
        while hindrance := await _hindrance(migration, engine):
            if monotonic() > deadline:
                raise TryAgainError(
                    f"the schema {migration.schema} is not migrated, and as it was: for {wait_s:g} s {hindrance}, "
                    "then run it again"
                )
            await asyncio.sleep(PAUSE_S)
    finally:
        await engine.dispose()


async def _hindrance(migration: _Migration, engine: AsyncEngine) -> str | None:
    """Try once; answer what was in the way, None where it is done."""
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migration.run)
    except Exception as error:
        state = getattr(getattr(error, "orig", error), "sqlstate", None)
        if state == _TOO_LONG:
            raise TryAgainError(
                f"the schema {migration.schema} is not migrated, and as it was: a statement took longer than "
                f"{migration.statement_s:g} s; raise MODELBUS_MIGRATION_STATEMENT_S, then run it again"
            ) from error
        if distrust(error) or not (is_outage(error) or isinstance(error, OSError)):
            raise
        # Only the first line: what SQLAlchemy tells beside it is the statement.
        reason = str(error).partition("\n")[0]
        return _IN_THE_WAY.get(state or "") or f"PostgreSQL could not be used; see why ({reason})"
    return None
