"""Suppliers' own thresholds in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.guards import Guard
from modelbus.sync.store.tables import guards


async def find_guard(session: AsyncSession, supplier_id: UUID) -> Guard | None:
    """Answer the supplier's own thresholds, if it has any."""
    row = (await session.execute(sa.select(guards).where(guards.c.supplier_id == supplier_id))).one_or_none()
    return None if row is None else Guard(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def list_guards(session: AsyncSession) -> Sequence[Guard]:
    """List every supplier's own thresholds."""
    rows = await session.execute(sa.select(guards).order_by(guards.c.supplier_id))
    return [Guard(**row._mapping) for row in rows]  # noqa: SLF001 - as above


async def save_guard(session: AsyncSession, guard: Guard) -> None:
    """Write the supplier's own thresholds in the place of what was."""
    row = asdict(guard)
    written = insert(guards).values(row)
    await session.execute(written.on_conflict_do_update(index_elements=["supplier_id"], set_=row))


async def delete_guard(session: AsyncSession, supplier_id: UUID) -> None:
    """Let the supplier have the same thresholds as all; it may have had them already."""
    await session.execute(sa.delete(guards).where(guards.c.supplier_id == supplier_id))
