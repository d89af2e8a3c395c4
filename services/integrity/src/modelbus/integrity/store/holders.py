"""Queries about holders, and the reverse index: who refers to which target, from where."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.references import Holder, HolderKind, Place, Reference
from modelbus.integrity.domain.targets import DELETED, TargetKind
from modelbus.integrity.store.index import among, known_values, upsert
from modelbus.integrity.store.tables import holders, models, references, sources

_SAVE_HOLDER = upsert(holders)
_PLACES = (
    sa.select(
        references,
        holders.c.kind.label("holder_kind"),
        holders.c.name.label("holder_name"),
        holders.c.is_active,
        models.c.name.label("model_name"),
        sa.case((models.c.id.is_(None), DELETED), else_=models.c.unavailable_because).label("model_problem"),
        sa.case(
            (references.c.target_kind == TargetKind.MODEL, None),
            (sources.c.id.is_(None), DELETED),
            else_=sources.c.unavailable_because,
        ).label("source_problem"),
    )
    .join(holders, holders.c.id == references.c.holder_id)
    .outerjoin(models, models.c.id == references.c.model_id)
    .outerjoin(sources, sources.c.id == references.c.target_id)
    .order_by(references.c.holder_id, references.c.ordinal)
)


@dataclass(frozen=True, slots=True)
class Naming:
    """What learning of a holder must know of what was known of it."""

    revision: int
    name: str | None


async def find_naming(session: AsyncSession, holder_id: UUID) -> Naming | None:
    """Find when the holder was last told, and its name."""
    query = sa.select(holders.c.revision, holders.c.name).where(holders.c.id == holder_id)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else Naming(row.revision, row.name)


async def save_holders(session: AsyncSession, changed: Collection[Holder]) -> None:
    """Save holders and put their references in the place of those that they had."""
    if not changed:
        return
    rows = [
        {**known_values(holder), "kind": holder.kind, "name": holder.name, "is_active": holder.is_active}
        for holder in changed
    ]
    await session.execute(_SAVE_HOLDER, rows)
    await _forget_references(session, [holder.id for holder in changed])
    fresh = [
        _reference_values(holder.id, ordinal, reference)
        for holder in changed
        for ordinal, reference in enumerate(holder.references, 1)
    ]
    if fresh:
        await session.execute(sa.insert(references), fresh)


async def bury_holders(session: AsyncSession, ids: Collection[UUID]) -> None:
    """Mark holders as deleted; they refer to nothing any more."""
    if ids:
        gone = sa.update(holders).values(record=None, digest=0, is_active=False)
        await session.execute(gone.where(among(holders.c.id, ids)))
        await _forget_references(session, ids)


async def list_holders_of(session: AsyncSession, target_id: UUID) -> list[UUID]:
    """List the holders with a place that depends on the model or source."""
    depends = (references.c.target_id == target_id) | (references.c.model_id == target_id)
    return list((await session.scalars(sa.select(references.c.holder_id).where(depends).distinct())).all())


async def list_places(session: AsyncSession, holder_ids: Collection[UUID] | None) -> list[Place]:
    """List every place of some holders, or of all, with the state of what they name."""
    query = _PLACES if holder_ids is None else _PLACES.where(among(references.c.holder_id, holder_ids))
    return [_place(row) for row in await session.execute(query)]


async def list_places_of_kinds(session: AsyncSession, kinds: Collection[HolderKind]) -> list[Place]:
    """List every place of all holders of some kinds."""
    return [_place(row) for row in await session.execute(_PLACES.where(holders.c.kind.in_(kinds)))]


async def page_places_naming(
    session: AsyncSession, target_ids: Collection[UUID], limit: int, after: tuple[UUID, int] | None
) -> list[Place]:
    """List places that depend on any of the models or sources, in order of holder and place."""
    query = _PLACES.where(among(references.c.target_id, target_ids) | among(references.c.model_id, target_ids))
    if after is not None:
        query = query.where(sa.tuple_(references.c.holder_id, references.c.ordinal) > sa.tuple_(*after))
    return [_place(row) for row in await session.execute(query.limit(limit))]


async def _forget_references(session: AsyncSession, holder_ids: Collection[UUID]) -> None:
    await session.execute(sa.delete(references).where(among(references.c.holder_id, holder_ids)))


def _reference_values(holder_id: UUID, ordinal: int, reference: Reference) -> dict[str, Any]:
    return {
        "holder_id": holder_id,
        "ordinal": ordinal,
        "place_key": reference.place_key,
        "place": reference.place,
        "serves": reference.serves,
        "target_kind": reference.target_kind,
        "target_id": reference.target_id,
        "model_id": reference.model_id,
    }


def _place(row: Any) -> Place:
    return Place(
        holder_id=row.holder_id,
        holder_kind=HolderKind(row.holder_kind),
        holder_name=row.holder_name,
        holder_is_active=row.is_active,
        ordinal=row.ordinal,
        reference=Reference(
            place_key=row.place_key,
            place=row.place,
            serves=row.serves,
            target_kind=TargetKind(row.target_kind),
            target_id=row.target_id,
            model_id=row.model_id,
        ),
        model_name=row.model_name,
        model_problem=row.model_problem,
        source_problem=row.source_problem,
    )
