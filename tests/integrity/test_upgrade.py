"""What the first schema held is still there after the upgrade, and is read anew from the catalog."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from modelbus.chassis.migrations import script_directory
from servers import Databases

CHAIN, MODEL, SOURCE = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.fixture
async def engine(databases: Databases) -> AsyncIterator[AsyncEngine]:
    async with databases.fresh() as database:
        made = create_async_engine(make_url(database.superuser()).set(drivername="postgresql+asyncpg"))
        yield made
        await made.dispose()


def migrate_to(connection: Connection, target: str) -> None:
    script = script_directory("modelbus.integrity")
    connection.execute(sa.text("SET LOCAL search_path TO integrity"))

    def upgrade(revision: Any, _context: Any) -> Any:
        return script._upgrade_revs(target, revision)

    with EnvironmentContext(Config(), script, fn=upgrade) as environment:
        environment.configure(connection=connection, version_table_schema="integrity", transactional_ddl=True)
        environment.run_migrations()


async def test_findings_and_names_outlive_the_upgrade(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(sa.text("DROP SCHEMA integrity CASCADE"))
        await connection.execute(sa.text("CREATE SCHEMA integrity"))
        await connection.run_sync(migrate_to, "0001")
        for statement in (
            f"INSERT INTO integrity.models VALUES ('{MODEL}', 5, '{{}}', 7, 'openai/gpt-4', NULL)",
            f"INSERT INTO integrity.sources VALUES ('{SOURCE}', 5, NULL, 0, '{MODEL}', NULL, 'deleted')",
            f"INSERT INTO integrity.holders VALUES ('{CHAIN}', 5, '{{}}', 7, 'chain', 'prod-chat', true)",
            (
                "INSERT INTO integrity.findings (id, kind, holder_id, place_key, place, target_kind, target_id, "
                "severity, reason, state, since, opened_at, opened_revision) "
                f"VALUES ('{UUID(int=9)}', 'stale_reference', '{CHAIN}', 'k', 'step 1', 'source', '{SOURCE}', 'dead', "
                "'deleted', 'open', now(), now(), 5)"
            ),
            "UPDATE integrity.index_head SET epoch = gen_random_uuid(), revision = 5, loaded_revision = 5",
        ):
            await connection.execute(sa.text(statement))

        await connection.run_sync(migrate_to, "head")

        finding = (await connection.execute(sa.text("SELECT * FROM integrity.findings"))).one()
        kept = {
            tuple(row) for row in await connection.execute(sa.text("SELECT kind, name, digest FROM integrity.records"))
        }
        head = (await connection.execute(sa.text("SELECT epoch, revision FROM integrity.index_head"))).one()

    assert (finding.rule, finding.holder_kind, finding.target_name) == ("stale_reference", "chain", "openai/gpt-4")
    assert kept == {("model", "openai/gpt-4", 1), ("source", None, 0), ("chain", "prod-chat", 1)}
    assert tuple(head) == (None, 5)
