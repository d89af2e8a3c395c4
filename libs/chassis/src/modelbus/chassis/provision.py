"""Provisioning: the database, and one role and one schema per service, so that the boundary holds in SQL too."""

import asyncpg
from sqlalchemy.engine import make_url

DATABASE = "modelbus"
EXTENSIONS = "extensions"
"""The schema of what PostgreSQL itself is extended by."""


async def provision(superuser_url: str, passwords: dict[str, str], database: str = DATABASE) -> None:
    """Create what is missing and set the passwords; may run as often as one likes.

    `passwords` maps each service to its role's password; the service's role and schema bear its name.
    """
    server = await asyncpg.connect(superuser_url, timeout=10)
    try:
        if not await server.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await server.execute(f"CREATE DATABASE {_quoted(database)} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'")
        for role, password in passwords.items():
            await _ensure_role(server, role, password)
    finally:
        await server.close()
    inside = make_url(superuser_url).set(database=database).render_as_string(hide_password=False)
    connection = await asyncpg.connect(inside, timeout=10)
    try:
        await connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        await connection.execute(f"REVOKE ALL ON DATABASE {_quoted(database)} FROM PUBLIC")
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {EXTENSIONS}")
        # Lets one constraint refuse two equal ids in overlapping periods; a service may not add it by itself.
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA {EXTENSIONS}")
        # Finds parts of names by an index.
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA {EXTENSIONS}")
        for role in passwords:
            name = _quoted(role)
            await connection.execute(f"GRANT CONNECT ON DATABASE {_quoted(database)} TO {name}")
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name} AUTHORIZATION {name}")
            await connection.execute(f"GRANT USAGE ON SCHEMA {EXTENSIONS} TO {name}")
            await connection.execute(f"ALTER ROLE {name} IN DATABASE {_quoted(database)} SET search_path TO {name}")
    finally:
        await connection.close()


async def _ensure_role(server: "asyncpg.Connection[asyncpg.Record]", role: str, password: str) -> None:
    # CREATE ROLE takes no parameters; format() quotes on the server's side.
    verb = "ALTER" if await server.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role) else "CREATE"
    statement = await server.fetchval(
        f"SELECT format('{verb} ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)", role, password
    )
    await server.execute(statement)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
