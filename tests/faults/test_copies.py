"""The ledger finds a copy that is not what the tables say."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest

from faults.copies import check_copies, read_tables
from faults.rig import CATALOGS, ROUTERS
from modelbus.contracts.feed import Head
from servers import FreshDatabase

UNTOLD = f"""
    INSERT INTO catalog.categories (id, name, display_name, position, created_at, updated_at)
        VALUES ('{uuid4()}', 'untold', 'Untold', 1, now(), now())
"""


class Kept:
    """Copies of what the tables say, as a rig shows them."""

    def __init__(self, database: str, home: Path, truth: Head) -> None:
        self.database = database
        self.home = home
        told = msgspec.to_builtins(truth)
        self.told: dict[str, dict[str, Any]] = {
            **{each: deepcopy(told) for each in (*CATALOGS, *self.like("sync"))},
            **{each: {**deepcopy(told), "alarms": 0, "is_stale": False} for each in ROUTERS},
        }

    def like(self, service: str) -> list[str]:
        return [service, f"{service}-2"]

    def http(self, service: str) -> httpx.AsyncClient:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=self.told[service]))
        return httpx.AsyncClient(transport=transport, base_url="http://shown")

    def keep(self) -> None:
        """Write what is in files."""
        for each in self.like("sync"):
            place = self.home / "state" / each
            place.mkdir(parents=True)
            (place / "catalog.json").write_bytes(b"digest\n" + json.dumps(self.told[each]).encode())


@pytest.mark.parametrize("wrong", ["catalog-2", "router", "sync-2", "tables", None])
async def test_a_copy_that_is_not_what_the_tables_say_is_noticed(
    database: FreshDatabase, tmp_path: Path, wrong: str | None
) -> None:
    url = database.superuser()
    rig: Any = Kept(url, tmp_path, await read_tables(url))
    if wrong == "tables":
        # As if it had been told otherwise: everybody holds the same, and none of them what is there.
        connection = await asyncpg.connect(url)
        await connection.execute(UNTOLD)
        await connection.close()
    elif wrong:
        rig.told[wrong]["digests"]["category"] += "0"
    rig.keep()

    if wrong is None:
        await check_copies(rig)
    else:
        with pytest.raises(AssertionError, match=rf"'{'router-2' if wrong == 'tables' else wrong}': \['category'\]"):
            await check_copies(rig)
