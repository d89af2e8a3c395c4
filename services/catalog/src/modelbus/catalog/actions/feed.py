"""The feed: the whole truth at one revision, the changes since another, and a digest to compare by."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import telling
from modelbus.catalog.domain.errors import HistoryTrimmedError
from modelbus.catalog.store import (
    access_keys,
    chains,
    complexity,
    credentials,
    models,
    scopes,
    sources,
    suppliers,
)
from modelbus.catalog.store import changes as store
from modelbus.chassis.database import Database
from modelbus.chassis.outbox import Head as Position
from modelbus.chassis.outbox import Outbox
from modelbus.contracts import access, records, routing
from modelbus.contracts.feed import Changes, Head, Snapshot, digest_text, record_digest

CHANGES_PER_PAGE = 2000

type _Read = Callable[[AsyncSession], Awaitable[Sequence[Any]]]
type _Tell = Callable[[Any], records.Record]

KINDS: dict[str, tuple[_Read, _Tell]] = {
    records.SupplierRecord.kind: (suppliers.every_supplier, telling.supplier_record),
    records.CredentialRecord.kind: (credentials.every_credential, telling.credential_record),
    records.ModelRecord.kind: (models.every_model, telling.model_record),
    records.SourceRecord.kind: (sources.every_source, telling.source_record),
    routing.ChainRecord.kind: (chains.every_chain, telling.chain_record),
    routing.ComplexityRecord.kind: (complexity.every_complexity_routing, telling.complexity_record),
    routing.ScopeRecord.kind: (scopes.every_scope, telling.scope_record),
    access.AccessKeyRecord.kind: (access_keys.every_access_key, telling.access_key_record),
}
"""How each kind of record is read and told."""


@dataclass(frozen=True, slots=True)
class Body:
    """An answer as it is sent, with the tag by which it is revalidated."""

    tag: str
    plain: bytes
    zipped: bytes


@dataclass(slots=True)
class _Held:
    position: Position
    records: dict[str, list[msgspec.Raw]]
    digests: dict[str, str]
    bodies: dict[frozenset[str], Body] = field(default_factory=dict)


class Feed:
    """Serves the feed from memory; what it holds is read anew once the head has moved."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox
        self._held: _Held | None = None
        self._turn = asyncio.Lock()

    async def snapshot(self, kinds: frozenset[str]) -> Body:
        """Answer every record of those kinds at the newest revision."""
        held = await self._current()
        if kinds not in held.bodies:
            plain = msgspec.json.encode(
                Snapshot(
                    epoch=held.position.epoch,
                    revision=held.position.revision,
                    digests={kind: held.digests[kind] for kind in kinds},
                    records={kind: held.records[kind] for kind in kinds},
                )
            )
            zipped = await asyncio.to_thread(gzip.compress, plain, 5)
            tag = f'"{held.position.epoch}-{held.position.revision}"'
            held.bodies[kinds] = Body(tag, plain, zipped)
        return held.bodies[kinds]

    async def head(self) -> Head:
        """Answer where the truth stands, with the digest of each kind."""
        held = await self._current()
        return Head(epoch=held.position.epoch, revision=held.position.revision, digests=held.digests)

    async def position(self) -> Position:
        """Answer where the truth stands, cheaply."""
        async with self._database.reading() as session:
            return await self._outbox.read_head(session)

    async def _current(self) -> _Held:
        """Answer what is held, read anew if the head has moved; callers at the same time share one reading."""
        async with self._turn, self._database.reading() as session:
            position = await self._outbox.read_head(session)
            if self._held is None or self._held.position != position:
                self._held = await _read(session, position)
            return self._held


async def _read(session: AsyncSession, position: Position) -> _Held:
    told: dict[str, list[msgspec.Raw]] = {}
    digests: dict[str, str] = {}
    for kind, (read, tell) in KINDS.items():
        told[kind], total = [], 0
        for thing in await read(session):
            body = tell(thing).model_dump_json().encode()
            told[kind].append(msgspec.Raw(body))
            total += record_digest(kind, thing.id, body)
        digests[kind] = digest_text(total)
    return _Held(position, told, digests)


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
    return Changes(epoch=head.epoch, revision=head.revision, changes=found)
