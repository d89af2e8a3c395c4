"""The ledger at the end of a fault: what was committed was told once and in order, and every copy is the truth."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import batched, pairwise
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import httpx
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from faults.load import Load
from faults.rig import ROUTERS, Rig
from modelbus.contracts.bus import CATALOG, INTEGRITY_HEARS_CATALOG, USAGE, Stream
from running import eventually

SETTLED_WITHIN_S = 60.0
READ_AT_ONCE = 200
PARKING = ("catalog", "sync", "integrity")


class Told(NamedTuple):
    """An event of the catalog, as the stream or the outbox has it."""

    epoch: UUID
    revision: int
    event_id: UUID


@dataclass
class _Reading:
    """How far a stream was read."""

    stream: Stream
    created: datetime | None = None
    sequence: int = 0
    messages: list[RawStreamMsg] = field(default_factory=list)

    async def go_on(self, context: JetStreamContext) -> None:
        """Read what is new; a stream that is another one is read from its beginning."""
        found = await context.stream_info(self.stream.name)
        if found.created != self.created:
            self.created, self.sequence, self.messages = found.created, 0, []
        numbers = range(max(self.sequence + 1, found.state.first_seq), found.state.last_seq + 1)
        for some in batched(numbers, READ_AT_ONCE):
            self.messages += await asyncio.gather(*(context.get_msg(self.stream.name, seq=each) for each in some))
        self.sequence = found.state.last_seq


class Ledger:
    """Keeps what it has read between faults, so that each costs what is new."""

    def __init__(self, rig: Rig, client: Client) -> None:
        self._rig = rig
        self._context = client.jetstream()
        self._catalog = _Reading(CATALOG)
        self._usage = _Reading(USAGE)
        self._batches: dict[str, set[str]] = {}
        """Of usage, by the event's id."""
        self.is_restored = False
        """The database was brought back to an earlier state: what was told after that state is not in it."""

    async def heard_usage(self, message: Msg) -> None:
        """Note a batch that was told; a stream that is lost later has held it."""
        self._note_usage(message.headers or {}, message.data)

    async def settle(self, load: Load, parked: Counter[str] | None = None) -> None:
        """Wait until nothing is under way, and check everything; `parked` is what must wait for an administrator.

        Raises:
            AssertionError: something is lost, told twice or differs.
        """
        await self._check_runs(load)
        await self._check_stream()
        assert [run_id for run_id, count in Counter(self.synced()).items() if count > 1] == []
        await self._check_changes(load)
        await self._check_copies()
        await self._check_findings()
        assert await self.parked() == (parked or Counter())
        await self._check_usage(load)

    async def head(self) -> dict[str, Any]:
        """Answer where the truth stands."""
        found: dict[str, Any] = (await self._rig.http("catalog").get("/api/v1/head")).json()
        return found

    async def parked(self) -> Counter[str]:
        """Count the messages that wait for an administrator, by consumer."""
        pages = [(await self._rig.http(each).get("/api/v1/parked")).json()["items"] for each in PARKING]
        return Counter(each["consumer"] for page in pages for each in page)

    async def _is_told(self, revision: int) -> bool:
        try:
            await self._catalog.go_on(self._context)
        except nats.errors.Error as error:
            raise OSError(repr(error)) from error
        told = self._told()
        return bool(told) and told[-1].revision >= revision

    def _told(self) -> list[Told]:
        found = []
        for message in self._catalog.messages:
            headers = message.headers or {}
            told = Told(UUID(headers["ce-epoch"]), int(headers["ce-revision"]), UUID(headers["ce-id"]))
            assert headers["Nats-Msg-Id"] == headers["ce-id"]
            found.append(told)
        return found

    async def _check_stream(self) -> None:
        """Commits are the stream: each in its order, once, without a gap."""
        committed = [
            Told(*row) for row in await self._fetch("SELECT epoch, revision, id FROM catalog.outbox ORDER BY revision")
        ]
        last = committed[-1].revision
        await eventually(lambda: self._is_told(last), within_s=SETTLED_WITHIN_S)
        told = [each for each in self._told() if each.revision <= last]
        if self.is_restored:
            # The stream knows what the database has forgotten. What was committed before the relay had noticed is told
            # by the snapshot that everybody takes in the new epoch.
            told, committed = [[each for each in some if each.epoch == told[-1].epoch] for some in (told, committed)]
        assert told == committed
        for one, next_one in pairwise(told):
            assert next_one.revision == one.revision + 1 or next_one.epoch != one.epoch, (one, next_one)
            assert next_one.revision > one.revision

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

    async def _check_copies(self) -> None:
        """Every router's copy, and sync's, is the truth of the head."""

        async def routers_are_true() -> bool:
            head = await self.head()
            for router in ROUTERS:
                cache = (await self._rig.http(router).get("/api/v1/cache")).json()
                assert cache["alarms"] == 0
                assert (cache["epoch"], cache["revision"]) == (head["epoch"], head["revision"])
                assert not cache["is_stale"]
                _assert_equal(cache["digests"], head["digests"])
            return True

        async def sync_is_true() -> bool:
            head, kept = await self.head(), self._kept_by_sync()
            assert (kept["epoch"], kept["revision"]) == (head["epoch"], head["revision"])
            _assert_equal(kept["digests"], head["digests"])
            return True

        await eventually(routers_are_true, within_s=SETTLED_WITHIN_S)
        await eventually(sync_is_true, within_s=SETTLED_WITHIN_S)

    def _kept_by_sync(self) -> dict[str, Any]:
        # Sync shows its copy nowhere but in what it keeps for its next start.
        kept = (self._rig.home / "state" / "sync" / "catalog.json").read_bytes()
        found: dict[str, Any] = json.loads(kept.partition(b"\n")[2])
        return found

    async def _check_runs(self, load: Load) -> None:
        """Every run that was promised ends."""
        http = self._rig.http("sync")

        async def ended(run_id: str) -> bool:
            answer = await http.get(f"/api/v1/runs/{run_id}")
            return bool(answer.status_code == httpx.codes.OK and answer.json()["ended_at"])

        for run_id in load.runs:
            await eventually(partial(ended, run_id), within_s=SETTLED_WITHIN_S)

    def synced(self) -> Iterator[str]:
        """Answer the runs whose listing is told to be applied, one entry for each telling."""
        for each in self._catalog.messages:
            if each.subject == "catalog.synced":
                yield json.loads(each.data or b"{}")["run_id"]

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

    async def _check_usage(self, load: Load) -> None:
        """Every request that somebody saw answered is told once."""
        answered = {request_id for calls in load.calls.values() for request_id in calls.ids}

        async def is_complete() -> bool:
            await self._usage.go_on(self._context)
            for message in self._usage.messages:
                self._note_usage(message.headers or {}, message.data or b"")
            missing = answered - {each for ids in self._batches.values() for each in ids}
            assert not missing, missing
            return True

        await eventually(is_complete, within_s=SETTLED_WITHIN_S)
        times: dict[str, int] = defaultdict(int)
        for ids in self._batches.values():
            for each in ids & answered:
                times[each] += 1
        assert {each: count for each, count in times.items() if count > 1} == {}

    def _note_usage(self, headers: dict[str, str], body: bytes) -> None:
        if (event_id := headers.get("ce-id")) and event_id not in self._batches:
            self._batches[event_id] = {each["id"] for each in json.loads(body)["requests"]}

    async def _fetch(self, query: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self._rig.database)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(query)
            return rows
        finally:
            await connection.close()


def _assert_equal(copied: dict[str, str], true: dict[str, str]) -> None:
    """Compare by kind; a follower holds the kinds that it needs."""
    assert copied
    assert copied == {kind: true[kind] for kind in copied}


@asynccontextmanager
async def keeping_ledger(rig: Rig) -> AsyncIterator[Ledger]:
    """Keep a ledger of the rig from now on."""
    async with rig.bus() as client:
        ledger = Ledger(rig, client)
        await client.subscribe("usage.recorded", cb=ledger.heard_usage)
        yield ledger
