"""What sources cost and what listings said of models is kept in newer tables; without the extension, one is told."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from modelbus.chassis.ids import new_id
from modelbus.chassis.migrations import migrate, script_directory
from modelbus.chassis.provision import provision
from servers import PASSWORDS, FreshDatabase

PACKAGE, SCHEMA = "modelbus.catalog", "catalog"


@pytest.fixture
async def before(postgres_url: str) -> Any:
    """A database of the time before prices had periods."""
    name = f"before_{uuid4().hex[:12]}"
    await provision(postgres_url, PASSWORDS, database=name)
    # As often as one likes.
    await provision(postgres_url, PASSWORDS, database=name)
    database = FreshDatabase(postgres_url, name)
    engine = create_async_engine(make_url(database.url(SCHEMA)).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        await connection.run_sync(_upgrade_to_0003)
        await connection.commit()
    await engine.dispose()
    yield database
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


def _upgrade_to_0003(connection: Connection) -> None:
    script = script_directory(PACKAGE)
    connection.execute(sa.text(f'SET LOCAL search_path TO "{SCHEMA}"'))
    with EnvironmentContext(
        Config(), script, fn=lambda revision, _context: script._upgrade_revs("0003", revision)
    ) as environment:
        environment.configure(connection=connection, version_table_schema=SCHEMA, transactional_ddl=True)
        environment.run_migrations()


async def test_a_cost_that_is_known_becomes_a_period_in_force_and_what_was_told_is_known_as_said(
    before: FreshDatabase,
) -> None:
    connection = await asyncpg.connect(before.superuser(), server_settings={"search_path": SCHEMA})
    supplier, model = new_id(), new_id()
    await connection.execute(
        "INSERT INTO suppliers (id, name, display_name, kind, base_url, protocol, flavour, is_active,"
        " requires_credential, is_local, removal_after, sync_interval_s, created_at, updated_at)"
        " VALUES ($1, 's', 's', 'direct', 'http://s', 'openai', 'openai', true, true, true, 2, 0, now(), now())",
        supplier,
    )
    await connection.execute(
        "INSERT INTO models (id, name, aliases, display_name, model_type, is_active, is_available, since, provenance,"
        " created_at, updated_at) VALUES ($1, 'm', '{}', 'm', 'language', true, true, now(), $2, now(), now())",
        model,
        json.dumps({"display_name": str(supplier), "context_window": "administrator"}),
    )
    for name, origin, cost in (
        ("listed", "listing", {"input": "0.10", "output": None, "is_dynamic": False}),
        ("by-hand", "administrator", {"image": "0"}),
        ("unknown", "listing", {"input": None}),
        ("dynamic", "listing", {"is_dynamic": True}),
    ):
        await connection.execute(
            "INSERT INTO sources (id, model_id, supplier_id, upstream_name, origin, is_enabled, missed, is_listed,"
            " is_available, since, priority, weight, cost, first_seen_at, last_seen_at, created_at, updated_at) VALUES"
            " ($1, $2, $3, $4, $5, true, 0, true, true, now(), 1, 1, $6, now(), now(), now(), now())",
            *(new_id(), model, supplier, name, origin, json.dumps(cost)),
        )

    await asyncio.to_thread(migrate, PACKAGE, before.url(SCHEMA), SCHEMA)

    rows = await connection.fetch(
        "SELECT upstream_name, cost_origin, state, input, image, is_dynamic,"
        " lower(valid) = sources.updated_at AS since,"
        " upper(valid) AS ends, prices.origin, said"
        " FROM sources LEFT JOIN cost_prices AS prices ON source_id = sources.id"
    )
    await connection.close()
    found = {name: told for name, *told in map(tuple, rows)}
    listed = found["listed"]
    said = {name: json.loads(told.pop()) for name, told in found.items()}
    assert said == {
        "listed": {"display_name": "m"},
        "by-hand": {},
        "unknown": {"display_name": "m"},
        "dynamic": said["listed"],
    }
    assert (str(listed[2]), listed[:2], listed[4:]) == (
        "0.10",
        ["listing", "in_force"],
        [False, True, None, "listing"],
    )
    assert found["by-hand"][0] == found["by-hand"][-1] == "administrator"
    assert found["dynamic"][1:5] == ["in_force", None, None, True]
    assert found["unknown"] == ["listing", *[None] * 7]


async def test_a_database_without_the_extension_is_told_what_it_lacks(before: FreshDatabase) -> None:
    connection = await asyncpg.connect(before.superuser())
    await connection.execute("DROP EXTENSION btree_gist")
    await connection.close()

    with pytest.raises(RuntimeError, match="btree_gist: run `python -m modelbus"):
        await asyncio.to_thread(migrate, PACKAGE, before.url(SCHEMA), SCHEMA)
