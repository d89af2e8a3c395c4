"""Queries about repairs that were applied; one for a finding."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.store.tables import repairs


@dataclass(frozen=True, slots=True)
class Applied:
    """A repair that was applied."""

    finding_id: UUID
    remedy: str
    model_id: UUID | None
    applied_by: str
    applied_at: datetime
    idempotency_key: str | None
    holder_path: str
    """Of the holder in the catalog's REST API."""
    version_before: int | None
    """Where a rollback leads; None where the holder was as the remedy would have it already."""
    version_after: int | None


async def find_of(session: AsyncSession, finding_id: UUID) -> Applied | None:
    """Find the repair of a finding."""
    return await _find(session, repairs.c.finding_id == finding_id)


async def find_by_key(session: AsyncSession, caller: str, key: str) -> Applied | None:
    """Find the repair that a caller asked for under a key."""
    return await _find(session, (repairs.c.applied_by == caller) & (repairs.c.idempotency_key == key))


async def save(session: AsyncSession, applied: Applied) -> bool:
    """Keep a repair; false where one was kept meanwhile."""
    values = {column.name: getattr(applied, column.name) for column in repairs.columns}
    kept = insert(repairs).values(values).on_conflict_do_nothing().returning(repairs.c.finding_id)
    return (await session.execute(kept)).one_or_none() is not None


async def _find(session: AsyncSession, which: sa.ColumnElement[bool]) -> Applied | None:
    row = (await session.execute(sa.select(repairs).where(which))).one_or_none()
    return None if row is None else Applied(**row._mapping)  # noqa: SLF001 - public in SQLAlchemy
