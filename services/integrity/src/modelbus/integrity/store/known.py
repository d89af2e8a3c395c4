"""Queries about what is known of each record of the catalog."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.index import Key, Mark
from modelbus.integrity.domain.known import Known
from modelbus.integrity.store import references
from modelbus.integrity.store.keys import among_keys
from modelbus.integrity.store.tables import records

SAVED_AT_ONCE = 1000
"""A whole catalog is saved in pieces, so that its rows need not all be held twice."""

_ADDED = insert(records)
_SAVE = _ADDED.on_conflict_do_update(
    index_elements=[records.c.kind, records.c.id],
    set_={column.name: _ADDED.excluded[column.name] for column in records.columns if not column.primary_key},
)


async def list_known(session: AsyncSession, keys: Iterable[Key]) -> list[Known]:
    """List what is known of the records, without their references."""
    rows = await session.execute(sa.select(records).where(among_keys(records.c.kind, records.c.id, keys)))
    return [
        Known(row.kind, row.id, row.revision, int(row.digest), row.record, row.name, row.is_active, row.model_id)
        for row in rows
    ]


async def save(session: AsyncSession, changed: Collection[Known]) -> None:
    """Save what is known, and put the references in the place of those that there were."""
    pending = list(changed)
    for start in range(0, len(pending), SAVED_AT_ONCE):
        part = pending[start : start + SAVED_AT_ONCE]
        await session.execute(_SAVE, [_values(each) for each in part])
        await references.replace(session, part)


async def bury(session: AsyncSession, keys: Collection[Key]) -> None:
    """Mark records as deleted; what they were called stays, and they refer to nothing any more."""
    if keys:
        gone = sa.update(records).values(record=None, digest=0, is_active=False)
        await session.execute(gone.where(among_keys(records.c.kind, records.c.id, keys)))
        await references.forget(session, keys)


async def list_marks(session: AsyncSession) -> dict[Key, Mark]:
    """List revision and digest of everything known."""
    rows = await session.execute(sa.select(records.c.kind, records.c.id, records.c.revision, records.c.digest))
    return {(row.kind, row.id): Mark(row.revision, int(row.digest)) for row in rows}


async def list_digests(session: AsyncSession) -> dict[str, int]:
    """Add up the digests of each kind."""
    totals = sa.select(records.c.kind, sa.func.sum(records.c.digest)).group_by(records.c.kind)
    return {kind: int(total) for kind, total in await session.execute(totals)}


async def lower_revisions(session: AsyncSession, revision: int) -> None:
    """Let nothing be known as of a later revision, so that what is told next counts as news."""
    await session.execute(sa.update(records).values(revision=revision).where(records.c.revision > revision))


async def is_charging(session: AsyncSession) -> bool:
    """Tell whether any model has a price."""
    priced = sa.exists().where(records.c.kind == "price", records.c.record.is_not(None))
    return bool(await session.scalar(sa.select(priced)))


async def list_models_named(session: AsyncSession, named: str) -> list[UUID]:
    """List the models of that name that are not deleted."""
    living = records.c.record.is_not(None)
    named_so = sa.select(records.c.id).where(records.c.kind == "model", records.c.name == named, living)
    return list((await session.scalars(named_so)).all())


async def is_target(session: AsyncSession, target_id: UUID) -> bool:
    """Tell whether a model or a source was ever known under that id."""
    known = sa.exists().where(records.c.id == target_id, records.c.kind.in_(("model", "source")))
    return bool(await session.scalar(sa.select(known)))


def _values(known: Known) -> dict[str, Any]:
    return {
        "kind": known.kind,
        "id": known.id,
        "revision": known.revision,
        "digest": known.digest,
        "record": known.record,
        "name": known.name,
        "is_active": known.is_active,
        "model_id": known.model_id,
    }
