"""Real databases for tests: one migrated template a session, copied for each test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from modelbus.chassis.migrations import migrate
from modelbus.chassis.provision import provision

PASSWORDS = {"catalog": "catalog-password", "sync": "sync-password", "integrity": "integrity-password"}


@dataclass(frozen=True, slots=True)
class Databases:
    """A PostgreSQL server with one migrated template, from which each test's database is copied."""

    superuser_url: str
    template: str

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator["FreshDatabase"]:
        """Make a migrated database that nobody else uses, and drop it afterwards."""
        name = f"test_{uuid4().hex[:12]}"
        await self._run(f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        try:
            for role in PASSWORDS:
                # CONNECT is granted on a database itself and is not copied with it.
                await self._run(f"GRANT CONNECT ON DATABASE {name} TO {role}")
                await self._run(f"ALTER ROLE {role} IN DATABASE {name} SET search_path TO {role}")
            yield FreshDatabase(self.superuser_url, name)
        finally:
            await self._run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

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
    await provision(superuser_url, PASSWORDS, database=template)
    databases = Databases(superuser_url, template)
    target = FreshDatabase(superuser_url, template)
    for service in PASSWORDS:
        await asyncio.to_thread(migrate, f"modelbus.{service}", target.url(service), service)
    return databases
