"""The ledger at the end of a fault: what was committed was told once and in order, and every copy is the truth."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import httpx
import nats.errors
from nats.aio.client import Client

from faults.copies import check_copies
from faults.finding import check_recomputed, check_told_once
from faults.load import Load
from faults.reading import SETTLED_WITHIN_S, Forgotten, Reading, check_told
from faults.rig import Rig
from faults.spending import Spending
from modelbus.contracts.bus import CATALOG, INTEGRITY, INTEGRITY_HEARS_CATALOG, SYNC, Stream
from running import eventually

PARKING = ("catalog", "sync", "integrity")


class Ledger:
    """Keeps what it has read between faults, so that each costs what is new."""

    def __init__(self, rig: Rig, client: Client) -> None:
        self._rig = rig
        self._context = client.jetstream()
        self._told = {stream.name: Reading(stream) for stream in (CATALOG, SYNC, INTEGRITY)}
        self.spending = Spending()
        self._parked: Counter[str] = Counter()
        self.forgotten: Forgotten | None = None
        """The database was brought back to an earlier state: what was told after that state is not in it."""

    async def settle(self, load: Load, parked: Counter[str] | None = None) -> None:
        """Wait until nothing is under way, and check everything; `parked` must wait for an administrator besides.

        Raises:
            AssertionError: something is lost, told twice or differs.
        """
        await self._check_runs(load)
        await self._check_told(CATALOG)
        assert [synced for synced, count in Counter(self.synced()).items() if count > 1] == []
        await self._check_changes(load)
        await check_copies(self._rig)
        await self._check_findings()
        await self._check_told(INTEGRITY)
        await check_told_once(self._told[INTEGRITY.name].messages, self._fetch, forgotten=self.forgotten)
        await self._check_told(SYNC)
        # It stays, as a consumer that is created anew hears it again: it must not be parked twice.
        self._parked += parked or Counter()
        assert await self.parked() == self._parked
        answered = {request_id for calls in load.calls.values() for request_id in calls.ids}
        await self.spending.check(self._context, self._fetch, answered, forgotten=self.forgotten)

    async def _check_told(self, stream: Stream) -> None:
        """What a service has committed is what its stream holds."""
        await check_told(self._told[stream.name], self._context, self._fetch, forgotten=self.forgotten)

    async def head(self) -> dict[str, Any]:
        """Answer where the truth stands."""
        found: dict[str, Any] = (await self._rig.http("catalog").get("/api/v1/head")).json()
        return found

    async def parked(self) -> Counter[str]:
        """Count the messages that wait for an administrator, by consumer."""
        pages = [(await self._rig.http(each).get("/api/v1/parked?limit=200")).json()["items"] for each in PARKING]
        return Counter(each["consumer"] for page in pages for each in page)

    async def _check_changes(self, load: Load) -> None:
        """A change that was answered is there; one whose answer was lost may be."""
        rows = await self._fetch("SELECT name, description FROM catalog.models WHERE name LIKE 'load/%'")
        stored = {name: int(description) for name, description in rows}
        wrong = {
            each.name: (stored.get(each.name), each.confirmed, each.unknown)
            for each in load.written
            if stored.get(each.name) not in {each.confirmed, *each.unknown}
        }
        assert wrong == {}
        broken = f"SELECT is_enabled FROM catalog.sources WHERE id = '{load.broken.source_id}'"
        [(is_enabled,)] = await self._fetch(broken)
        assert is_enabled in {load.broken.confirmed, *load.broken.unknown}

    async def _check_runs(self, load: Load) -> None:
        """Every run that was promised ends."""
        http = self._rig.http("sync")

        async def ended(run_id: str) -> bool:
            answer = await http.get(f"/api/v1/runs/{run_id}")
            return bool(answer.status_code == httpx.codes.OK and answer.json()["ended_at"])

        for run_id in load.runs:
            await eventually(partial(ended, run_id), within_s=SETTLED_WITHIN_S)

    def synced(self) -> Iterator[tuple[str, str]]:
        """Answer epoch and run of each telling that a listing was applied.

        A database that was restored does not know that it was, and applies it again in its new epoch.
        """
        for each in self._told[CATALOG.name].messages:
            if each.subject == "catalog.synced":
                yield (each.headers or {})["ce-epoch"], json.loads(each.data or b"{}")["run_id"]

    async def _check_findings(self) -> None:
        """Integrity knows all that the catalog says, and has found what there is to find."""

        async def has_heard() -> bool:
            consumer = INTEGRITY_HEARS_CATALOG
            try:
                found = await self._context.consumer_info(consumer.stream.name, consumer.durable)
            except nats.errors.Error as error:
                raise OSError(repr(error)) from error
            return not found.num_pending and not found.num_ack_pending

        await eventually(has_heard, within_s=SETTLED_WITHIN_S)
        swept = await self._rig.http("integrity").post("/api/v1/sweeps", timeout=30)
        assert swept.status_code == httpx.codes.CREATED, swept.text
        sweep = swept.json()
        assert (sweep["drift"], sweep["opened"], sweep["closed"]) == ({}, 0, 0)
        await check_recomputed(self._fetch)

    async def _fetch(self, query: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._rig.database)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query)
            return rows
        finally:
            await connection.close()


@asynccontextmanager
async def keeping_ledger(rig: Rig) -> AsyncIterator[Ledger]:
    """Keep a ledger of the rig from now on."""
    async with rig.bus() as client:
        ledger = Ledger(rig, client)
        await client.subscribe("usage.recorded", cb=ledger.spending.hear)
        yield ledger
