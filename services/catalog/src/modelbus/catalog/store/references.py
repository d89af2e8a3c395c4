"""Queries about references: what they point at, and the places of a holder that hold them."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import models, sources


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


async def lock_holder(session: AsyncSession, table: sa.Table, holder_id: UUID) -> None:
    """Keep others from changing the holder until the transaction ends; read it and its places afterwards.

    A statement that had to wait for the lock sees the locked row anew, but every other row as it was before it
    waited: reading the places with it would bring back those that the change before has replaced.
    """
    await session.execute(sa.select(table.c.id).where(table.c.id == holder_id).with_for_update())


async def insert_holder(session: AsyncSession, table: sa.Table, holder: object) -> None:
    """Add the holder itself, without its places."""
    await session.execute(sa.insert(table).values(_columns(table, holder)))


async def save_holder(session: AsyncSession, table: sa.Table, holder: object) -> None:
    """Write the holder's own fields, its places left as they are."""
    values = _columns(table, holder)
    await session.execute(sa.update(table).where(table.c.id == values["id"]).values(values))


async def replace_places(
    session: AsyncSession, holder: sa.Column[Any], holder_id: UUID, places: list[dict[str, Any]]
) -> None:
    """Write all places of one holder in place of those that it had; `holder` is the column that names it."""
    await session.execute(sa.delete(holder.table).where(holder == holder_id))
    if places:
        await session.execute(sa.insert(holder.table), [{holder.name: holder_id, **place} for place in places])


def _columns(table: sa.Table, holder: object) -> dict[str, Any]:
    return {column.name: getattr(holder, column.name) for column in table.c}
