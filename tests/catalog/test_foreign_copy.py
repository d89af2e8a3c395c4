"""Another team's copy, by the documents' program: changes 1 to N, or a snapshot where they are gone, then news."""

import sys

import asyncpg
import httpx

from builders import a_model
from foreign import program, saying
from running import ADMIN_TOKEN
from servers import FreshDatabase
from testing_bus import LocalBus


async def place(http: httpx.AsyncClient) -> int:
    return int((await http.get("/api/v1/head")).json()["revision"])


async def test_a_copy_that_begins_late_gets_every_change_and_follows_and_a_snapshot_once_history_is_trimmed(
    catalog_with_bus: str, database: FreshDatabase, bus: LocalBus
) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    command = (sys.executable, "-c", program('get("/snapshot"'))
    told = {"CATALOG_URL": catalog_with_bus, "NATS_URL": bus.url, "TOKEN": ADMIN_TOKEN}
    async with httpx.AsyncClient(base_url=catalog_with_bus, headers=headers, timeout=20) as http:
        first, second = await a_model(http), await a_model(http)
        async with saying(*command, **told) as copy:
            await copy.until(f"{await place(http)} 2")
            await http.delete(f"/api/v1/models/{first['id']}")
            await copy.until(f"{await place(http)} 1")

        await forget(database, await place(http))
        assert (await http.get("/api/v1/changes", params={"after": 0})).status_code == httpx.codes.GONE
        async with saying(*command, **told) as copy:
            assert await copy.line() == f"{await place(http)} 1"
            await http.delete(f"/api/v1/models/{second['id']}")
            await copy.until(f"{await place(http)} 0")


async def forget(database: FreshDatabase, up_to: int) -> None:
    """Trim the history, as the catalog does when it is old enough."""
    connection = await asyncpg.connect(database.superuser())
    try:
        await connection.execute("DELETE FROM catalog.outbox WHERE revision < $1", up_to)
    finally:
        await connection.close()
