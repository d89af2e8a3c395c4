"""Queries about when fields got what they hold, and by whose act."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import suppliers, versions


@dataclass(frozen=True, slots=True)
class Turn:
    """When a field last became another."""

    at: datetime
    caller_name: str
    """`sync` stands for a listing that was applied."""


async def last_turns(session: AsyncSession, kind: str, ids: Collection[UUID]) -> dict[tuple[UUID, str], Turn]:
    """Answer the last change of each field of things of a kind."""
    field = sa.func.jsonb_object_keys(versions.c.changed).column_valued("field", joins_implicitly=True)
    query = (
        sa.select(versions.c.thing_id, field, versions.c.at, versions.c.caller_name)
        .select_from(versions)
        .where(versions.c.kind == kind, rows.among(versions.c.thing_id, ids))
        .ext(distinct_on(versions.c.thing_id, field))
        .order_by(versions.c.thing_id, field, versions.c.number.desc())
    )
    return {(thing_id, name): Turn(at, caller) for thing_id, name, at, caller in await session.execute(query)}


async def names_of_suppliers(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, str]:
    """Answer the suppliers' names, also of those that were deleted."""
    query = sa.select(suppliers.c.id, suppliers.c.name).where(rows.among(suppliers.c.id, ids))
    return {row.id: row.name for row in await session.execute(query)}
