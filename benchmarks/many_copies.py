"""Routers' copies of the catalog, many in one process: each follows by itself; what they have alike is held once."""

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter
from uuid import UUID

import httpx
from benchmarks.large_catalog import LargeCatalog

from modelbus.chassis.feed import Applied, Follower
from modelbus.chassis.loops import stop
from modelbus.chassis.messaging import Bus
from modelbus.chassis.replica import Replica
from modelbus.contracts.feed import Snapshot
from modelbus.router.cache.table import SHELVES, Table

type Read = tuple[Replica, Applied]
type Place = tuple[UUID, int]


@dataclass(slots=True)
class Known:
    """What one has read of a snapshot, for the others that take the same."""

    reads: dict[Place, Read] = field(default_factory=dict)
    tables: dict[Place, Table] = field(default_factory=dict)


class SharingFollower(Follower):
    """Follows as a router's does, but for one thing: a snapshot that another has read is not read again."""

    known: Known

    def _read(self, snapshot: Snapshot) -> Read:
        place = (snapshot.epoch, snapshot.revision)
        if place not in self.known.reads:
            table = Table(snapshot.epoch, snapshot.revision)
            read = super()._read(snapshot)
            self.known.reads[place] = read
            self.known.tables[place] = table.after(read[1], *place)
        replica, applied = self.known.reads[place]
        return _twin(replica), applied


def _twin(replica: Replica) -> Replica:
    """Answer a replica that goes its own way from here; the records themselves never change."""
    twin = Replica(replica.kinds)
    twin.epoch, twin.revision = replica.epoch, replica.revision
    twin.records = {kind: dict(held) for kind, held in replica.records.items()}
    twin.lacks = replica.lacks
    twin._digests = dict(replica._digests)  # noqa: SLF001 - a copy of it
    return twin


class CopyOfOne:
    """One router's copy with its table, its connections, and notes of when which revision was in force."""

    def __init__(self, catalog: LargeCatalog, known: Known) -> None:
        hooks = {"response": [self._count]}
        token = {"Authorization": f"Bearer {catalog.token}"}
        self.http = httpx.AsyncClient(
            base_url=catalog.url, headers=token, trust_env=False, timeout=60, event_hooks=hooks
        )
        self.bus = Bus(catalog.bus.url, service="router")
        self.follower = SharingFollower(self.http, self.bus, kinds=SHELVES, on_change=self._apply)
        self.follower.known = self._known = known
        self.table: Table | None = None
        self.asked, self.received = 0, 0
        self._revisions: list[int] = []
        self._at: list[float] = []

    @property
    def revision(self) -> int:
        """Answer the revision in force."""
        return self.table.revision if self.table else 0

    def in_force_at(self, revision: int) -> float:
        """Answer when that revision was."""
        return self._at[bisect_left(self._revisions, revision)]

    def _apply(self, applied: Applied) -> None:
        epoch, revision = self.follower.epoch, self.follower.revision
        assert epoch is not None  # noqa: S101 - whoever applies something has an epoch
        if self.table is None or applied.is_whole:
            self.table = self._known.tables[epoch, revision]
        else:
            self.table = self.table.after(applied, epoch, revision)
        self._revisions.append(revision)
        self._at.append(perf_counter())

    async def _count(self, response: httpx.Response) -> None:
        await response.aread()
        self.asked += 1
        self.received += response.num_bytes_downloaded


@asynccontextmanager
async def copies(catalog: LargeCatalog, count: int) -> AsyncIterator[list[CopyOfOne]]:
    """Start so many, one after another; each has loaded the catalog when the next begins."""
    known, started = Known(), list[CopyOfOne]()
    async with AsyncExitStack() as stack:
        for _ in range(count):
            started.append(await stack.enter_async_context(_running(CopyOfOne(catalog, known))))
        yield started


@asynccontextmanager
async def _running(copy: CopyOfOne) -> AsyncIterator[CopyOfOne]:
    copy.bus.start()
    following = asyncio.create_task(copy.follower.run())
    try:
        while copy.table is None:
            await asyncio.sleep(0.01)
            if following.done():
                following.result()
        yield copy
    finally:
        await stop([following])
        await copy.bus.stop()
        await copy.http.aclose()
