"""Loading the index anew from the catalog's snapshot, whole and in one transaction."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.feed import Snapshot
from modelbus.contracts.records import ModelRecord, Record, SourceRecord
from modelbus.contracts.routing import ChainRecord, ComplexityRecord, ScopeRecord
from modelbus.integrity.actions.findings import ALL_HOLDERS, judge
from modelbus.integrity.actions.records import read_holder, read_model, read_source
from modelbus.integrity.domain.errors import FeedUnusableError
from modelbus.integrity.domain.index import IndexHead, Known, Mark, Standing, Telling
from modelbus.integrity.domain.references import Holder
from modelbus.integrity.domain.targets import Model, Source
from modelbus.integrity.store import holders, index, tables, targets

KINDS: tuple[type[Record], ...] = (ModelRecord, SourceRecord, ChainRecord, ComplexityRecord, ScopeRecord)
"""The records that integrity follows."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A snapshot, read."""

    models: list[Model]
    sources: list[Source]
    holders: list[Holder]


def read_snapshot(snapshot: Snapshot) -> Contents:
    """Read every record of a snapshot.

    Raises:
        FeedUnusableError: a kind is missing, which is not the same as empty, or a record does not parse.
    """
    missing = [record.kind for record in KINDS if record.kind not in snapshot.records]
    if missing:
        raise FeedUnusableError(f"the snapshot holds no {', '.join(missing)} records")
    try:
        return Contents(
            models=_read(snapshot, ModelRecord, read_model),
            sources=_read(snapshot, SourceRecord, read_source),
            holders=[
                *_read(snapshot, ChainRecord, read_holder),
                *_read(snapshot, ComplexityRecord, read_holder),
                *_read(snapshot, ScopeRecord, read_holder),
            ],
        )
    except ValidationError as error:
        raise FeedUnusableError(f"a record of the snapshot does not parse: {error}") from error


async def load_snapshot(session: AsyncSession, snapshot: Snapshot, told: Telling, *, keep_newer: bool) -> None:
    """Make the index equal to the snapshot and judge everything.

    With `keep_newer`, what was heard after the snapshot was taken stays as it is.
    """
    contents = read_snapshot(snapshot)
    before = await index.lock_head(session)
    if keep_newer and snapshot.revision < before.loaded_revision:
        return  # Another replica was quicker, with a newer one.
    limit = snapshot.revision if keep_newer else index.EVERYTHING
    models = await _news(session, tables.models, contents.models, limit)
    await targets.save_models(session, models.changed)
    await targets.bury_targets(session, tables.models, models.gone)
    sources = await _news(session, tables.sources, contents.sources, limit)
    await targets.save_sources(session, sources.changed)
    await targets.bury_targets(session, tables.sources, sources.gone)
    referring = await _news(session, tables.holders, contents.holders, limit)
    await holders.save_holders(session, referring.changed)
    await holders.bury_holders(session, referring.gone)
    if not keep_newer:
        for table in (tables.models, tables.sources, tables.holders):
            await index.lower_revisions(session, table, snapshot.revision)
    await index.save_head(
        session,
        IndexHead(
            epoch=snapshot.epoch,
            revision=max(before.revision, snapshot.revision) if keep_newer else snapshot.revision,
            loaded_revision=max(before.loaded_revision, snapshot.revision) if keep_newer else snapshot.revision,
        ),
    )
    await judge(session, ALL_HOLDERS, told)


async def read_standing(session: AsyncSession) -> Standing:
    """Read where the index stands."""
    return await index.read_standing(session)


@dataclass(frozen=True, slots=True)
class _News[K: Known]:
    changed: list[K]
    gone: list[UUID]


async def _news[K: Known](session: AsyncSession, table: sa.Table, contents: Collection[K], limit: int) -> _News[K]:
    """Find what the snapshot changes among what is known as of the limit or earlier."""
    marks: Mapping[UUID, Mark] = await index.list_marks(session, table)
    told = {known.id for known in contents}

    def is_news(known: K) -> bool:
        mark = marks.get(known.id)
        return mark is None or (mark.revision <= limit and mark.digest != known.digest)

    return _News(
        changed=[known for known in contents if is_news(known)],
        gone=[
            known_id
            for known_id, mark in marks.items()
            if mark.digest and known_id not in told and mark.revision <= limit
        ],
    )


def _read[R: Record, K: Known](snapshot: Snapshot, kind: type[R], read: Callable[[R, bytes, int], K]) -> list[K]:
    texts = (bytes(raw) for raw in snapshot.records[kind.kind])
    return [read(kind.model_validate_json(text, extra="ignore"), text, snapshot.revision) for text in texts]
