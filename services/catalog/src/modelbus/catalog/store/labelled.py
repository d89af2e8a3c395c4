"""Queries about the models that bear a label; which label that is, is said by the label's own store."""

from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import models


@dataclass(frozen=True, slots=True)
class Bearer:
    """A model that bears the label."""

    id: UUID
    name: str


async def first_bearers(session: AsyncSession, bears: sa.ColumnElement[bool], *, limit: int) -> list[Bearer]:
    """Answer some of the models, by name."""
    query = sa.select(models.c.id, models.c.name).where(bears).order_by(models.c.name).limit(limit)
    return await rows.fetch_all(session, Bearer, query)


async def count_bearers(session: AsyncSession, bears: sa.ColumnElement[bool]) -> int:
    """Count the models."""
    return await session.scalar(sa.select(sa.func.count()).select_from(models).where(bears)) or 0


async def ids_of_bearers(session: AsyncSession, bears: sa.ColumnElement[bool]) -> list[UUID]:
    """Answer every one of the models, in order of id."""
    return list(await session.scalars(sa.select(models.c.id).where(bears).order_by(models.c.id)))
