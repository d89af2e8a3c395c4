"""People who administer the catalog of a test, and what lets them in."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import asyncpg
import httpx

from running import eventually
from servers import FreshDatabase

LOGIN = "/api/v1/auth/login"
REFRESH = "/api/v1/auth/refresh"
ME = "/api/v1/auth/me"
USERS = "/api/v1/users"
TOKENS = "/api/v1/auth/tokens"
PASSWORD = "correct horse battery staple"

_numbers = count(1)


async def a_user(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Make a user who signs in by `PASSWORD`."""
    body = {"name": f"person-{next(_numbers)}", "role": "viewer", "password": PASSWORD, **fields}
    answer = await http.post(USERS, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def sign_in(http: httpx.AsyncClient, name: str, password: str = PASSWORD) -> httpx.Response:
    """Try to sign in, without the token of the client."""
    return await http.post(LOGIN, json={"name": name, "password": password}, headers={"Authorization": ""})


async def a_session(http: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Make a user and sign them in."""
    user = await a_user(http, **fields)
    answer = await sign_in(http, user["name"], fields.get("password", PASSWORD))
    assert answer.status_code == 200, answer.text
    session: dict[str, Any] = answer.json()
    return session


def bearer(token: str) -> dict[str, str]:
    """Answer the headers that show a token."""
    return {"Authorization": f"Bearer {token}"}


def shows(session: dict[str, Any]) -> dict[str, str]:
    """Answer the headers that show a session's access token."""
    return bearer(session["access_token"])


@asynccontextmanager
async def client_of(url: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that shows the token."""
    async with httpx.AsyncClient(base_url=url, headers=bearer(token), timeout=20) as client:
        yield client


async def shut_out(http: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """Wait until the headers open nothing any more; what a replica holds may be a second old."""

    async def is_out() -> bool:
        return (await http.get(ME, headers=headers)).status_code == 401

    await eventually(is_out, within_s=5)


async def audited(database: FreshDatabase, outcome: str = "refused") -> list[dict[str, Any]]:
    """Read the audit log, the oldest line first."""
    connection = await asyncpg.connect(database.superuser())
    await connection.set_type_codec("jsonb", encoder=str, decoder=json.loads, schema="pg_catalog")
    try:
        rows = await connection.fetch("SELECT * FROM catalog.audit WHERE outcome = $1 ORDER BY id", outcome)
    finally:
        await connection.close()
    return [dict(row) for row in rows]


async def run_sql(database: FreshDatabase, statement: str, *values: Any) -> list[asyncpg.Record]:
    """Run a statement as the superuser."""
    connection = await asyncpg.connect(database.superuser())
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
    finally:
        await connection.close()
    return rows
