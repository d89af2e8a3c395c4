"""The feed: the whole truth at one revision, the changes since another, and a digest to compare by."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import batched
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import telling, telling_routing
from modelbus.catalog.actions.snapshots import Body, Snapshots, View
from modelbus.catalog.domain.errors import HistoryTrimmedError
from modelbus.catalog.store import (
    access_keys,
    capabilities,
    categories,
    chains,
    complexity,
    consumers,
    credentials,
    models,
    prices,
    rows,
    scopes,
    sources,
    splits,
    strategies,
    suppliers,
    tags,
)
from modelbus.catalog.store import changes as store
from modelbus.chassis import memory
from modelbus.chassis.database import Database
from modelbus.chassis.logs import logger
from modelbus.chassis.outbox import Head as Position
from modelbus.chassis.outbox import Outbox
from modelbus.chassis.replica import GapError, Records, Replica, compare_all
from modelbus.contracts import access, labels, records, routing
from modelbus.contracts.catalog import CHANGES, CatalogReset
from modelbus.contracts.feed import Changes, Head, digest_text, record_digest

CHANGES_PER_PAGE = 2000
APPLIED_AT_ONCE = 1000
REST_S = 0.02
"""What an audit rests between portions: it has time, and the others have not."""

type _Read = Callable[[AsyncSession], Awaitable[Sequence[Any]] | AsyncIterator[Sequence[Any]]]
type _Tell = Callable[[Any], records.Record]

KINDS: dict[str, tuple[_Read, _Tell]] = {
    records.SupplierRecord.kind: (suppliers.every_supplier, telling.supplier_record),
    records.CredentialRecord.kind: (credentials.every_credential, telling.credential_record),
    records.ModelRecord.kind: (models.every_model, telling.model_record),
    records.SourceRecord.kind: (sources.every_source, telling.source_record),
    records.PriceRecord.kind: (prices.every_charge, telling.price_record),
    routing.ChainRecord.kind: (chains.every_chain, telling_routing.chain_record),
    routing.SplitRecord.kind: (splits.every_split, telling_routing.split_record),
    routing.ComplexityRecord.kind: (complexity.every_complexity_routing, telling_routing.complexity_record),
    routing.StrategyRecord.kind: (strategies.every_strategy, telling_routing.strategy_record),
    routing.ScopeRecord.kind: (scopes.every_scope, telling_routing.scope_record),
    labels.CapabilityRecord.kind: (capabilities.every_capability, telling.capability_record),
    labels.CategoryRecord.kind: (categories.every_category, telling.category_record),
    labels.TagRecord.kind: (tags.every_tag, telling.tag_record),
    access.ConsumerRecord.kind: (consumers.every_consumer, telling.consumer_record),
    access.AccessKeyRecord.kind: (access_keys.every_access_key, telling.access_key_record),
}
"""How each kind of record is read and told."""
SECRETS = frozenset({records.CredentialRecord.kind, access.AccessKeyRecord.kind})
"""Kinds with sealed secrets or hashes of keys: for services, and of people for admins alone."""
_TYPES_OF_SECRETS = {CHANGES[kind].type for kind in SECRETS}

log = logger(__name__)


class Feed:
    """Serves the feed from memory: read from the tables once, then advanced by the events as any follower is.

    Every replica of the catalog holds its own, and advances it by the outbox; nothing is told between them.
    """

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox
        self._replica = Replica(frozenset(KINDS))
        self._snapshots = Snapshots()
        self._turn = asyncio.Lock()
        self._differs: list[str] = []

    async def snapshot(self, kinds: frozenset[str], *, is_zipped: bool) -> Body:
        """Answer every record of those kinds at the newest revision."""
        newest = await self.advance()
        return await self._snapshots.get(kinds, self._view, newest=newest, is_zipped=is_zipped)

    async def head(self) -> Head:
        """Answer where the truth stands, with the digest of each kind."""
        async with self._at_head() as position:
            return Head(epoch=position.epoch, revision=position.revision, digests=self._replica.digests())

    async def position(self) -> Position:
        """Answer where the truth stands, cheaply."""
        async with self._database.reading() as session:
            return await self._outbox.read_head(session)

    async def problem(self) -> str | None:
        """Answer why what is served here may be wrong; None when it is as the tables."""
        return f"the feed differs from the tables in {self._differs}" if self._differs else None

    async def advance(self) -> Position:
        """Take in what has happened, and answer where that is; callers at the same time share the work."""
        async with self._at_head() as position:
            return position

    async def audit(self, rest_s: float = REST_S) -> None:
        """Compare with the tables, slowly; what differs is read anew at once, and said.

        What a replica of another release has told only in another shape is no fault.
        """
        async with self._database.reading() as session:
            async with self._turn:
                position = await self._advance(session)
                ours = self._replica.digests()
            # What the session sees does not move, however long this takes.
            truth = dict.fromkeys(KINDS, 0)
            async for kind, record_id, body in _every_record(session, rest_s):
                truth[kind] += record_digest(kind, record_id, body)
        self._differs = sorted(kind for kind, total in truth.items() if ours[kind] != digest_text(total))
        if differs := self._differs:
            position, told, true = await self._read_anew(differs)
            self._differs = []
            found = await asyncio.to_thread(compare_all, told, true)
            if found.reshaped and not found.other:
                log.info("the feed told records in another shape, as a release ahead or behind does", kinds=differs)
            else:
                log.error("the feed differs from the tables, which were read anew", kinds=differs, at=str(position))

    async def _read_anew(self, kinds: list[str]) -> tuple[Position, Records, Records]:
        """Read everything from the tables; answers where, and the records of some kinds before and after that."""
        # Not while somebody reads the records, who would go on with none.
        async with self._turn, self._database.reading() as session:
            position, held = await self._advance(session), self._replica
            self._snapshots.drop()
            self._replica = await _read(session, position)
            told, true = ({kind: dict(each.records[kind]) for kind in kinds} for each in (held, self._replica))
            return position, told, true

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Replica]:
        """Hold every record still at the newest revision, for who reads some of them; it is for reading alone."""
        async with self._at_head():
            yield self._replica

    @asynccontextmanager
    async def _at_head(self) -> AsyncIterator[Position]:
        """Hold the records still at the newest revision."""
        async with self._turn, self._database.reading() as session:
            yield await self._advance(session)

    async def _advance(self, session: AsyncSession) -> Position:
        position, held = await self._outbox.read_head(session), self._replica
        if (held.epoch, held.revision) == (position.epoch, position.revision):
            return position
        self._snapshots.drop()
        try:
            if held.epoch != position.epoch:
                raise GapError(f"epoch {held.epoch} is not {position.epoch}")  # noqa: TRY301 - handled as a gap is
            await self._follow(session, held, position.revision)
        except (GapError, msgspec.DecodeError) as error:
            log.info("the feed is read from the tables", reason=str(error), revision=position.revision)
            self._replica = await _read(session, position)
        return position

    async def _follow(self, session: AsyncSession, held: Replica, revision: int) -> None:
        while held.revision != revision:
            found = await store.list_changes(session, self._outbox, after=held.revision, limit=APPLIED_AT_ONCE)
            if not found:
                raise GapError(f"nothing follows revision {held.revision}, though the head is {revision}")
            held.apply(found)

    async def _view(self, kinds: frozenset[str]) -> View:
        async with self._at_head() as position:
            held, digests = self._replica.records, self._replica.digests()
            told = {kind: list(held[kind].values()) for kind in kinds}
            return View(position, {kind: digests[kind] for kind in kinds}, told)


async def _read(session: AsyncSession, position: Position) -> Replica:
    replica = Replica(frozenset(KINDS))
    replica.epoch, replica.revision = position.epoch, position.revision
    async for kind, record_id, body in _every_record(session):
        replica.put(kind, record_id, body)
    if sum(map(len, replica.records.values())) >= memory.MANY:
        memory.settle()
    return replica


async def _every_record(session: AsyncSession, rest_s: float = 0) -> AsyncIterator[tuple[str, UUID, bytes]]:
    """Read every record from the tables, some at a time, so that others get their turn in between."""
    for kind, (read, tell) in KINDS.items():
        async for some in portions(read(session)):
            for thing in some:
                yield kind, thing.id, tell(thing).model_dump_json().encode()
            await asyncio.sleep(rest_s)


async def portions(found: Awaitable[Sequence[Any]] | AsyncIterator[Sequence[Any]]) -> AsyncIterator[Sequence[Any]]:
    """Answer what a reader of `KINDS` finds, some at a time."""
    if isinstance(found, AsyncIterator):
        async for some in found:
            yield some
        return
    for part in batched(await found, rows.PORTION):
        yield part


async def changes_after(session: AsyncSession, outbox: Outbox, after: int, epoch: UUID | None) -> Changes:
    """Read the events that follow a revision, at most `CHANGES_PER_PAGE`.

    Raises:
        HistoryTrimmedError: the caller's epoch is over, it is ahead of the head, or the events are kept no longer.
    """
    head = await outbox.read_head(session)
    if epoch is not None and epoch != head.epoch:
        raise HistoryTrimmedError(f"epoch {epoch} is over; take a snapshot")
    if after > head.revision:
        raise HistoryTrimmedError(f"revision {after} is ahead of the head {head.revision}; take a snapshot")
    found = await store.list_changes(session, outbox, after=after, limit=CHANGES_PER_PAGE)
    is_contiguous = [change.revision for change in found] == list(range(after + 1, after + 1 + len(found)))
    if after < head.revision and not (found and is_contiguous):
        raise HistoryTrimmedError(f"the change after revision {after} is kept no longer; take a snapshot")
    if any(change.type == CatalogReset.type for change in found):
        raise HistoryTrimmedError(f"the numbering started anew after revision {after}; take a snapshot")
    return Changes(epoch=head.epoch, revision=head.revision, changes=found)


def without_secrets(found: Changes) -> Changes:
    """Answer the changes with nothing in those of kinds that hold secrets; none is missing, so that none is missed."""
    told = [
        msgspec.structs.replace(change, data=msgspec.Raw(b"null")) if change.type in _TYPES_OF_SECRETS else change
        for change in found.changes
    ]
    return msgspec.structs.replace(found, changes=told)
