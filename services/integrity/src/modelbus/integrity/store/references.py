"""The reverse index: who refers to which target, from where."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import bulk
from modelbus.integrity.domain.index import Key
from modelbus.integrity.domain.known import Known
from modelbus.integrity.domain.references import REPLACEMENT, Holder, HolderKind, Reference, Role
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store.keys import among, among_keys
from modelbus.integrity.store.tables import records, references

_COLUMNS = (
    "holder_kind",
    "holder_id",
    "place_key",
    "ordinal",
    "place",
    "serves",
    "target_kind",
    "target_id",
    "model_id",
    "role",
)
_ROWS = (
    sa.select(references, records.c.name.label("holder_name"), records.c.is_active)
    .join(records, (records.c.kind == references.c.holder_kind) & (records.c.id == references.c.holder_id))
    .order_by(references.c.holder_kind, references.c.holder_id, references.c.ordinal)
)

type Position = tuple[str, UUID, int]
"""Of a reference in the order of the list: kind and id of its holder, and its ordinal."""
type Row = tuple[Holder, int, Reference]


async def replace(session: AsyncSession, holders: Collection[Known]) -> None:
    """Put the holders' references in the place of those that they had."""
    await forget(session, [holder.key for holder in holders])
    rows = (
        (
            *(holder.kind, holder.id, each.place_key, ordinal, each.place, each.serves),
            *(each.target_kind, each.target_id, each.model_id, each.role),
        )
        for holder in holders
        for ordinal, each in enumerate(holder.references, 1)
    )
    await bulk.insert(session, references, _COLUMNS, rows)


async def forget(session: AsyncSession, holders: Collection[Key]) -> None:
    """Let the holders refer to nothing."""
    of_holders = among_keys(references.c.holder_kind, references.c.holder_id, holders)
    await session.execute(sa.delete(references).where(of_holders))


async def list_holders_of(session: AsyncSession, target_ids: Collection[UUID]) -> list[Key]:
    """List the holders with a place that depends on the models or sources, also by following replacements."""
    depends = among(references.c.target_id, target_ids) | among(references.c.model_id, target_ids)
    holder = sa.select(references.c.holder_kind, references.c.holder_id)
    reached = holder.where(depends).cte("reached", recursive=True)
    earlier = (references.c.target_id == reached.c.holder_id) & (references.c.place_key == REPLACEMENT)
    reached = reached.union(
        holder.join_from(references, reached, earlier & (reached.c.holder_kind == HolderKind.MODEL))
    )
    return [(row.holder_kind, row.holder_id) for row in await session.execute(sa.select(reached))]


async def list_holders(session: AsyncSession, kinds: Collection[str], limit: int, after: Key | None) -> list[Key]:
    """List the holders of some kinds, deleted ones too, in order of kind and id."""
    query = (
        sa.select(records.c.kind, records.c.id)
        .where(records.c.kind.in_(kinds))
        .order_by(records.c.kind, records.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sa.tuple_(records.c.kind, records.c.id) > sa.tuple_(*after))
    return [(row.kind, row.id) for row in await session.execute(query)]


async def list_of(session: AsyncSession, holders: Collection[Key]) -> Sequence[Row]:
    """List the references of some holders, holder by holder and in order."""
    of_holders = among_keys(references.c.holder_kind, references.c.holder_id, holders)
    return [_row(row) for row in await session.execute(_ROWS.where(of_holders))]


async def list_all(session: AsyncSession) -> dict[Key, tuple[Reference, ...]]:
    """List every reference, by holder and in order."""
    stored: dict[Key, list[Reference]] = {}
    for holder, _, reference in map(_row, await session.execute(_ROWS)):
        stored.setdefault(holder.key, []).append(reference)
    return {key: tuple(each) for key, each in stored.items()}


async def page_naming(
    session: AsyncSession, target_ids: Collection[UUID], limit: int, after: Position | None
) -> Sequence[Row]:
    """List references that depend on any of the models or sources, in order of holder and place."""
    depends = among(references.c.target_id, target_ids) | among(references.c.model_id, target_ids)
    query = _ROWS.where(depends, references.c.role != Role.OFFER)
    if after is not None:
        position = sa.tuple_(references.c.holder_kind, references.c.holder_id, references.c.ordinal)
        query = query.where(position > sa.tuple_(*after))
    return [_row(row) for row in await session.execute(query.limit(limit))]


def _row(row: Any) -> Row:
    reference = Reference(
        place_key=row.place_key,
        place=row.place,
        serves=row.serves,
        target_kind=TargetKind(row.target_kind),
        target_id=row.target_id,
        model_id=row.model_id,
        role=Role(row.role),
    )
    return Holder(HolderKind(row.holder_kind), row.holder_id, row.holder_name, row.is_active), row.ordinal, reference
