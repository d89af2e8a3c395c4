"""When credentials and access keys were last used; no configuration, so nobody is told and no version is made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.tables import access_keys, credentials


async def note_uses_of_credentials(session: AsyncSession, uses: Mapping[UUID, datetime]) -> None:
    """Note when each credential was used, unless it was used later; ids that are not there are ignored."""
    await _note(session, credentials, uses)


async def note_uses_of_access_keys(session: AsyncSession, uses: Mapping[UUID, datetime]) -> None:
    """Note when each access key was used, unless it was used later; ids that are not there are ignored."""
    await _note(session, access_keys, uses)


async def _note(session: AsyncSession, table: sa.Table, uses: Mapping[UUID, datetime]) -> None:
    if not uses:
        return
    used_at: sa.ColumnElement[Any] = sa.bindparam("used_at", type_=sa.DateTime(timezone=True))
    is_later = table.c.last_used_at.is_(None) | (table.c.last_used_at < used_at)
    statement = sa.update(table).where(table.c.id == sa.bindparam("used_id"), is_later).values(last_used_at=used_at)
    # In one order, as whoever else locks several of them takes them.
    values = [{"used_id": key, "used_at": uses[key]} for key in sorted(uses)]
    await (await session.connection()).execute(statement, values)
