"""A credential's secret appears in no answer, event, log line, row or snapshot."""

import asyncio
import os
import sys

import asyncpg
import httpx
import pytest

from builders import a_credential, a_supplier
from modelbus.chassis.secrets import Vault
from running import MASTER_KEY
from servers import FreshDatabase

SECRET = "sk-very-secret-0123456789"


async def test_a_secret_is_sealed_and_never_shown(
    http: httpx.AsyncClient, database: FreshDatabase, capfd: pytest.CaptureFixture[str]
) -> None:
    supplier = await a_supplier(http, requires_credential=True)
    made = await a_credential(http, supplier["id"], secret=SECRET)
    again = f"{SECRET}-again"
    changed = await http.patch(f"/api/v1/credentials/{made['id']}", json={"secret": again})
    refused = await http.post("/api/v1/credentials", json={"secret": SECRET, "supplier_id": 5})
    listed = await http.get("/api/v1/credentials")
    snapshot = await http.get("/api/v1/snapshot")
    changes = await http.get("/api/v1/changes", params={"after": 0})

    assert (made["hint"], changed.json()["hint"]) == ("…6789", "…gain")
    for answer in (changed, refused, listed, snapshot, changes):
        assert SECRET not in answer.text
    assert SECRET not in str(made)
    assert SECRET not in await everything_stored(database)
    captured = capfd.readouterr()
    assert SECRET not in captured.out + captured.err
    sealed = snapshot.json()["records"]["credential"][0]["sealed"]
    assert Vault(MASTER_KEY).open(sealed) == again


async def everything_stored(database: FreshDatabase) -> str:
    connection = await asyncpg.connect(database.superuser())
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'catalog'")
        rows = [await connection.fetch(f"SELECT t::text FROM catalog.{table['tablename']} t") for table in tables]
        return "\n".join(str(row[0]) for some in rows for row in some)
    finally:
        await connection.close()


def test_any_master_key_opens_and_the_first_seals() -> None:
    old, new = MASTER_KEY, "qLcGyMnNsNDoiQc9ocBAxc_7W5GkHzBGbGPZd3vRzyI="
    sealed_with_old = Vault(old).seal("secret")

    both = Vault(f"{new},{old}")

    assert both.open(sealed_with_old) == "secret"
    assert Vault(new).open(both.reseal(sealed_with_old)) == "secret"


async def test_a_deleted_credential_is_not_in_the_snapshot(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    made = await asyncio.gather(*(a_credential(http, supplier["id"]) for _ in range(2)))

    await http.delete(f"/api/v1/credentials/{made[0]['id']}")

    snapshot = (await http.get("/api/v1/snapshot", params={"kinds": "credential"})).json()
    assert [record["id"] for record in snapshot["records"]["credential"]] == [made[1]["id"]]


async def test_secrets_are_sealed_anew_so_that_an_old_key_can_be_retired(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    new = "qLcGyMnNsNDoiQc9ocBAxc_7W5GkHzBGbGPZd3vRzyI="
    supplier = await a_supplier(http)
    await a_credential(http, supplier["id"], secret=SECRET)
    environment = {
        **os.environ,
        "MODELBUS_DATABASE_URL": database.url("catalog"),
        "MODELBUS_MASTER_KEYS": f"{new},{MASTER_KEY}",
    }

    done = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "modelbus.catalog", "reseal", env=environment, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await done.communicate()

    assert said.decode().startswith("1 credentials are sealed")
    snapshot = (await http.get("/api/v1/snapshot", params={"kinds": "credential"})).json()
    assert Vault(new).open(snapshot["records"]["credential"][0]["sealed"]) == SECRET
