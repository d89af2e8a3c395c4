"""A migration runs while the previous version serves: it waits briefly, breaks nothing that serves, or does nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from io import StringIO
from typing import Any

import asyncpg
import pytest
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext

from chassis.breaking import breakages
from modelbus.chassis import migrations
from modelbus.chassis.entry import TryAgainError, run
from modelbus.chassis.migrations import migrate, script_directory
from running import eventually, free_port
from servers import Databases, FreshDatabase

SERVICES = ("catalog", "sync", "integrity")
UNRULED = {("catalog", "0004"), ("integrity", "0002")}
"""What was made before there was a version to be upgraded from."""


def sql_of(service: str, revision: str, before: str) -> str:
    """Answer what the revision does, as SQL, without a database."""
    script, written = script_directory(f"modelbus.{service}"), StringIO()

    def upgrade(_revision: Any, _context: Any) -> Any:
        return script._upgrade_revs(revision, before)

    with EnvironmentContext(
        Config(), script, fn=upgrade, as_sql=True, starting_rev=before, destination_rev=revision
    ) as environment:
        environment.configure(dialect_name="postgresql", output_buffer=written, version_table_schema=service)
        environment.run_migrations()
    return written.getvalue()


def later_revisions() -> list[tuple[str, str, str]]:
    """Answer service, revision and the one before, of all but first revisions, which nobody is upgraded from."""
    scripts = [(service, script_directory(f"modelbus.{service}")) for service in SERVICES]
    return [
        (service, each.revision, each.down_revision)
        for service, script in scripts
        for each in script.walk_revisions()
        if isinstance(each.down_revision, str) and (service, each.revision) not in UNRULED
    ]


@pytest.mark.parametrize(("service", "revision", "before"), later_revisions())
def test_a_revision_breaks_nothing_that_serves_unless_it_ends_what_an_earlier_one_began(
    service: str, revision: str, before: str
) -> None:
    found = breakages(sql_of(service, revision, before))
    module = script_directory(f"modelbus.{service}").get_revision(revision).module
    began = getattr(module, "contracts", None)

    if began is not None:
        assert found, "a revision that takes nothing away ends nothing"
        assert began < revision
        return
    assert found == [], f"add first; take away in a later release, marked `contracts = '{revision}'`"


@pytest.fixture
async def behind(databases: Databases) -> AsyncIterator[Callable[[str], Awaitable[FreshDatabase]]]:
    """What answers a database in which a service is one revision behind."""
    async with databases.fresh() as database:

        async def made(service: str) -> FreshDatabase:
            connection = await asyncpg.connect(database.superuser())
            await connection.execute(f"DROP SCHEMA {service} CASCADE; CREATE SCHEMA {service} AUTHORIZATION {service}")
            await connection.close()
            await brought(database, service, to=one_before_head(service))
            return database

        yield made


def one_before_head(service: str) -> str:
    script = script_directory(f"modelbus.{service}")
    before = script.get_revision("head").down_revision
    assert isinstance(before, str)
    return before


async def brought(database: FreshDatabase, service: str, **terms: Any) -> None:
    await asyncio.to_thread(migrate, f"modelbus.{service}", database.url(service), service, **terms)


async def state(connection: "asyncpg.Connection[Any]", service: str) -> tuple[str, set[tuple[str, str]]]:
    """Answer the revision, and every column."""
    columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1"
    revision = await connection.fetchval(f"SELECT version_num FROM {service}.alembic_version")
    return revision, {(row[0], row[1]) for row in await connection.fetch(columns, service)}


async def lock(connection: "asyncpg.Connection[Any]", service: str) -> None:
    """Hold what every migration needs in the end, when all else of it is done."""
    await connection.execute(f"LOCK TABLE {service}.alembic_version IN SHARE MODE")


async def test_a_migration_that_others_are_in_the_way_of_gives_up_and_leaves_nothing_half_done(
    behind: Callable[[str], Awaitable[FreshDatabase]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 50)
    monkeypatch.setattr(migrations, "PAUSE_S", 0.02)
    database = await behind("catalog")
    holder = await asyncpg.connect(database.superuser())
    before = await state(holder, "catalog")
    async with holder.transaction():
        await lock(holder, "catalog")
        with pytest.raises(TryAgainError, match=r"catalog is not migrated, and as it was: for 0\.3 s"):
            await brought(database, "catalog", wait_s=0.3)
        assert await state(holder, "catalog") == before

        waiting = asyncio.create_task(brought(database, "catalog"))
        await eventually(partial(is_waiting, holder))
    await waiting

    assert (await state(holder, "catalog"))[0] == script_directory("modelbus.catalog").get_current_head()
    await holder.close()


async def test_a_migration_that_is_given_up_for_a_deadlock_comes_again(
    behind: Callable[[str], Awaitable[FreshDatabase]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "PAUSE_S", 0.02)
    database = await behind("catalog")
    holder = await asyncpg.connect(database.superuser())
    # Whoever looks first for a deadlock is given up.
    await holder.execute("SET deadlock_timeout = '60s'")
    async with holder.transaction():
        await lock(holder, "catalog")
        waiting = asyncio.create_task(brought(database, "catalog"))
        await eventually(partial(is_waiting, holder))
        # Who has waited for longest finds the deadlock, and is given up.
        await holder.execute("SELECT pg_advisory_xact_lock(hashtext('catalog.migrate'))")
    await waiting

    assert (await state(holder, "catalog"))[0] == script_directory("modelbus.catalog").get_current_head()
    await holder.close()


async def test_a_migration_waits_for_a_database_that_is_away_and_says_so_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(migrations, "PAUSE_S", 0.02)
    url = f"postgresql://catalog@127.0.0.1:{free_port()}/modelbus"

    with pytest.raises(TryAgainError, match=r"for 0\.05 s PostgreSQL could not be used.*Connect call failed"):
        await asyncio.to_thread(migrate, "modelbus.catalog", url, "catalog", wait_s=0.05)


async def is_waiting(connection: "asyncpg.Connection[Any]") -> bool:
    database = "SELECT oid FROM pg_database WHERE datname = current_database()"
    waits = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND database = ({database})"
    return bool(await connection.fetchval(waits))


async def test_a_statement_that_takes_too_long_is_given_up_with_the_name_of_the_setting(
    behind: Callable[[str], Awaitable[FreshDatabase]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_MS", 60_000)
    database = await behind("sync")
    holder = await asyncpg.connect(database.superuser())
    async with holder.transaction():
        await holder.execute("LOCK TABLE sync.alembic_version")
        with pytest.raises(TryAgainError, match="MODELBUS_MIGRATION_STATEMENT_S"):
            await brought(database, "sync", statement_s=0.1)
    await holder.close()


def test_a_step_that_can_not_be_done_now_ends_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def migrate() -> None:
        raise TryAgainError("the tables are locked")

    monkeypatch.setattr("sys.argv", ["modelbus-x", "migrate"])

    assert run("modelbus-x", migrate=migrate) == 75
    assert capsys.readouterr().err == "modelbus-x: the tables are locked\n"


@pytest.mark.parametrize("service", SERVICES)
async def test_every_table_of_the_previous_version_is_written_and_read_during_and_after_the_migration(
    behind: Callable[[str], Awaitable[FreshDatabase]], service: str
) -> None:
    database = await behind(service)
    serving = await asyncpg.connect(database.superuser())
    # Rows refer to nothing: the checker of the SQL sees to foreign keys.
    await serving.execute("SET session_replication_role = replica")
    _, columns = await state(serving, service)
    tables = sorted({table for table, _ in columns} - {"alembic_version"})
    written = [table for table in tables if not table.endswith("_head")]
    writes = [await serving.prepare(await insertion(serving, service, table)) for table in written]
    reads = [await serving.prepare(all_columns(service, table, columns)) for table in tables]
    rounds, is_over = 0, False

    async def serve() -> None:
        nonlocal rounds
        while not is_over:
            for statement in (*writes, *reads):
                await statement.fetch()
            rounds += 1

    task = asyncio.create_task(serve())
    await eventually(lambda: task.done() or rounds > 3)
    await brought(database, service)
    after = rounds
    await eventually(lambda: task.done() or rounds > after + 3)
    is_over = True
    await task

    assert (await state(serving, service))[0] == script_directory(f"modelbus.{service}").get_current_head()
    for table in written:
        assert await serving.fetchval(f"SELECT count(*) FROM {service}.{table}") >= rounds
    await serving.close()


VALUES = {
    "uuid": "gen_random_uuid()",
    "text": "gen_random_uuid()::text",
    "bytea": "''",
    "bool": "false",
    "int4": "1",
    "int8": "(random() * 1e15)::bigint",
    "float8": "1",
    "numeric": "1",
    "json": "'[]'",
    "jsonb": "'[]'",
    "date": "now()",
    "timestamptz": "now()",
    "tstzrange": "tstzrange(clock_timestamp(), clock_timestamp())",
    "_text": "'{}'",
}


async def insertion(connection: "asyncpg.Connection[Any]", service: str, table: str) -> str:
    """Answer what writes a row, naming only what the present columns demand."""
    demanded = await connection.fetch(
        "SELECT column_name, udt_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 "
        "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' ORDER BY 1",
        service,
        table,
    )
    names, values = ", ".join(row[0] for row in demanded), ", ".join(VALUES[row[1]] for row in demanded)
    return f"INSERT INTO {service}.{table} ({names}) VALUES ({values})"


def all_columns(service: str, table: str, columns: set[tuple[str, str]]) -> str:
    """Answer a query of a table by all of its columns, as a mapped class asks."""
    return f"SELECT {', '.join(sorted(column for of, column in columns if of == table))} FROM {service}.{table} LIMIT 1"
