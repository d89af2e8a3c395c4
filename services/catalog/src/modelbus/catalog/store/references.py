"""Queries about references: what they point at, and the places of a holder that hold them."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.references import StaleModels
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import models, sources


@dataclass(frozen=True, slots=True)
class HolderFilter:
    """What a list of things that refer to models is narrowed to; None leaves it open."""

    name: str | None = None
    search: str | None = None
    """Part of the name or the description, in any case."""
    is_active: bool | None = None
    model_id: UUID | None = None
    """A model that it refers to, also by way of a source."""
    has_stale: bool | None = None
    """Whether it refers to something that is not available."""


def narrowed(
    query: sa.Select[Any],
    table: sa.Table,
    wanted: HolderFilter,
    *,
    refers_to: Callable[[UUID], sa.ColumnElement[bool]],
    has_stale: sa.ColumnElement[bool],
) -> sa.Select[Any]:
    """Narrow a list; the last two say how things of the table refer."""
    if wanted.name is not None:
        query = query.where(table.c.name == wanted.name)
    if wanted.search is not None:
        fields = (table.c.name, table.c.description)
        query = query.where(sa.or_(*(field.icontains(wanted.search, autoescape=True) for field in fields)))
    if wanted.is_active is not None:
        query = query.where(table.c.is_active == wanted.is_active)
    if wanted.model_id is not None:
        query = query.where(refers_to(wanted.model_id))
    if wanted.has_stale is not None:
        query = query.where(has_stale if wanted.has_stale else ~has_stale)
    return query


async def hold_models(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Answer which of the ids are of living models, and keep those from being changed until the transaction ends.

    Holders share: the lock stands only against `lock_models`, which every change of a model or of its sources
    takes, in the same order of id. So nobody hears of a reference after hearing that its target was deleted.
    """
    query = (
        sa.select(models.c.id)
        .where(rows.among(models.c.id, ids), models.c.deleted_at.is_(None))
        .order_by(models.c.id)
        .with_for_update(read=True, key_share=True)
    )
    return set(await session.scalars(query))


async def served_by(session: AsyncSession, source_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Answer the model that each source serves; a source that does not live is left out."""
    query = sa.select(sources.c.id, sources.c.model_id).where(
        rows.among(sources.c.id, source_ids), sources.c.deleted_at.is_(None)
    )
    return {row.id: row.model_id for row in await session.execute(query)}


async def is_any_available(session: AsyncSession, places: Collection[tuple[UUID, UUID | None]]) -> bool:
    """Tell whether any of the models, or of their exact sources where one is named, can serve right now."""
    by_source = [source_id for _model_id, source_id in places if source_id is not None]
    by_model = [model_id for model_id, source_id in places if source_id is None]
    is_fit = (
        sa.select(1).where(rows.among(models.c.id, by_model), models.c.is_available),
        sa.select(1)
        .select_from(sources.join(models, models.c.id == sources.c.model_id))
        .where(rows.among(sources.c.id, by_source), sources.c.is_available, models.c.is_available),
    )
    return await session.scalar(sa.select(sa.or_(*(sa.exists(each) for each in is_fit)))) or False


async def stale_among(session: AsyncSession, model_ids: Collection[UUID]) -> StaleModels:
    """Answer those of the models that are not available, with their names and why."""
    query = sa.select(models.c.id, models.c.name, models.c.reason).where(
        rows.among(models.c.id, model_ids), ~models.c.is_available
    )
    return {row.id: (row.name, row.reason) for row in await session.execute(query)}


async def lock_holder(session: AsyncSession, table: sa.Table, holder_id: UUID) -> None:
    """Keep others from changing the holder until the transaction ends; read it and its places afterwards.

    A statement that had to wait for the lock sees the locked row anew, but every other row as it was before it
    waited: reading the places with it would bring back those that the change before has replaced.
    """
    await session.execute(sa.select(table.c.id).where(table.c.id == holder_id).with_for_update())


async def insert_holder(session: AsyncSession, table: sa.Table, holder: object, **others: Any) -> None:
    """Add the holder itself, without its places; `others` are columns that are no fields of it."""
    await session.execute(sa.insert(table).values(_columns(table, holder, others)))


async def save_holder(session: AsyncSession, table: sa.Table, holder: object, **others: Any) -> None:
    """Write the holder's own fields, its places left as they are."""
    values = _columns(table, holder, others)
    await session.execute(sa.update(table).where(table.c.id == values["id"]).values(values))


async def replace_places(
    session: AsyncSession, holder: sa.Column[Any], holder_id: UUID, places: list[dict[str, Any]]
) -> None:
    """Write all places of one holder in place of those that it had; `holder` is the column that names it."""
    await session.execute(sa.delete(holder.table).where(holder == holder_id))
    if places:
        await session.execute(sa.insert(holder.table), [{holder.name: holder_id, **place} for place in places])


def _columns(table: sa.Table, holder: object, others: dict[str, Any]) -> dict[str, Any]:
    own = {column.name: getattr(holder, column.name) for column in table.c if column.name not in others}
    return own | others
