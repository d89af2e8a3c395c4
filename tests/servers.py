"""Real databases for tests: one migrated template a session, of which each test has a copy that nobody has changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from engines import idle_sessions, servers_of_tests
from modelbus.chassis.migrations import migrate
from modelbus.chassis.provision import provision

END_SESSIONS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL ($1::int[])
"""
PASSWORDS = {"catalog": "catalog-password", "sync": "sync-password", "integrity": "integrity-password"}

PRISTINE = """
    CREATE SCHEMA pristine;
    CREATE TABLE pristine.shape (is_changed boolean NOT NULL);
    INSERT INTO pristine.shape VALUES (false);

    DO $$
    DECLARE each regclass;
    BEGIN
        FOR each IN SELECT oid FROM pg_class WHERE relkind = 'r' AND relnamespace::regnamespace::text = ANY ({services})
        LOOP
            EXECUTE format('CREATE TABLE pristine.%I AS TABLE %s', each::oid, each);
        END LOOP;
    END $$;

    CREATE FUNCTION pristine.notice() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        UPDATE pristine.shape SET is_changed = true;
    END $$;

    -- Rules and triggers are not asked: all rows go, and those of the template come back. Few of sixty tables hold any.
    CREATE FUNCTION pristine.restore() RETURNS boolean LANGUAGE plpgsql SET session_replication_role = replica AS $$
    DECLARE
        each record;
        has_rows boolean;
    BEGIN
        IF (SELECT is_changed FROM pristine.shape) THEN
            RETURN false;
        END IF;
        FOR each IN SELECT relname::oid AS told FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'pristine'::regnamespace AND relname <> 'shape'
        LOOP
            EXECUTE format('SELECT EXISTS (TABLE %s) OR EXISTS (TABLE pristine.%I)', each.told::regclass, each.told)
                INTO has_rows;
            IF has_rows THEN
                EXECUTE format('DELETE FROM %s', each.told::regclass);
                EXECUTE format(
                    'INSERT INTO %s OVERRIDING SYSTEM VALUE TABLE pristine.%I', each.told::regclass, each.told
                );
            END IF;
        END LOOP;
        PERFORM setval(oid, 1, false) FROM pg_class WHERE relkind = 'S';
        RETURN true;
    END $$;

    CREATE EVENT TRIGGER noticed ON ddl_command_end EXECUTE FUNCTION pristine.notice();
    CREATE EVENT TRIGGER noticed_drops ON sql_drop EXECUTE FUNCTION pristine.notice();
"""
"""What a database remembers of itself as the template was, so that it is brought back in milliseconds.

A copy takes a hundred and more, most of them in the kernel. Whoever changes the shape of a table is noticed.
"""


@dataclass(frozen=True, slots=True)
class Databases:
    """A PostgreSQL server with one migrated template, from which each test's database is copied."""

    superuser_url: str
    template: str
    _restored: "list[FreshDatabase]" = field(default_factory=list)
    _restoring: "dict[FreshDatabase, asyncpg.Connection[asyncpg.Record]]" = field(default_factory=dict)
    """Kept, as each new one costs the server a process and both a password."""

    @asynccontextmanager
    async def lent(self) -> AsyncIterator["FreshDatabase"]:
        """Lend a database for few rows; afterwards it is brought back to what it was, for the next one."""
        if not self._restored:
            self._restored.append(await self._copied())
        lent = self._restored.pop()
        try:
            yield lent
        finally:
            if await self._restore(lent):
                self._restored.append(lent)
            else:
                await self._restoring.pop(lent).close()
                await self._drop(lent)

    async def _restore(self, lent: "FreshDatabase") -> bool:
        connection = self._restoring.get(lent)
        if connection is None or connection.is_closed():
            connection = self._restoring[lent] = await asyncpg.connect(lent.superuser())
        await connection.execute(END_SESSIONS, idle_sessions())
        return bool(await connection.fetchval("SELECT pristine.restore()"))

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator["FreshDatabase"]:
        """Make a migrated database that nobody else uses, and drop it afterwards."""
        fresh = await self._copied()
        try:
            yield fresh
        finally:
            await self._drop(fresh)

    async def close(self) -> None:
        """Close what is kept."""
        for connection in self._restoring.values():
            await connection.close()

    async def _copied(self) -> "FreshDatabase":
        name = f"test_{uuid4().hex[:12]}"
        await self._run(f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        # CONNECT is granted on a database itself and is not copied with it.
        for role in PASSWORDS:
            await self._run(f"GRANT CONNECT ON DATABASE {name} TO {role}")
            await self._run(f"ALTER ROLE {role} IN DATABASE {name} SET search_path TO {role}")
        return FreshDatabase(self.superuser_url, name)

    async def _drop(self, fresh: "FreshDatabase") -> None:
        await self._run(f"DROP DATABASE IF EXISTS {fresh.name} WITH (FORCE)")

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.superuser_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@dataclass(frozen=True, slots=True)
class FreshDatabase:
    """One test's database."""

    superuser_url: str
    name: str

    def url(self, service: str) -> str:
        """Answer the URL for a service's role."""
        url = make_url(self.superuser_url).set(username=service, password=PASSWORDS[service], database=self.name)
        return url.render_as_string(hide_password=False)

    def superuser(self) -> str:
        """Answer the URL for the superuser."""
        return make_url(self.superuser_url).set(database=self.name).render_as_string(hide_password=False)


async def prepare_template(superuser_url: str) -> Databases:
    """Provision and migrate the template database."""
    template = f"template_{uuid4().hex[:12]}"
    server = make_url(superuser_url)
    servers_of_tests.add((server.host, server.port))
    await provision(superuser_url, PASSWORDS, database=template)
    databases = Databases(superuser_url, template)
    target = FreshDatabase(superuser_url, template)
    for service in PASSWORDS:
        await asyncio.to_thread(migrate, f"modelbus.{service}", target.url(service), service)
    connection = await asyncpg.connect(target.superuser())
    try:
        await connection.execute(PRISTINE.replace("{services}", f"ARRAY{list(PASSWORDS)}"))
    finally:
        await connection.close()
    return databases
