"""Queries about the changes that the outbox still holds."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.outbox import Outbox
from modelbus.contracts.feed import Change


async def list_changes(session: AsyncSession, outbox: Outbox, *, after: int, limit: int) -> list[Change]:
    """List events in order of revision, from the one after `after` on; those of an epoch that is over lead nowhere."""
    kept, epoch = outbox.rows.c, sa.select(outbox.head.c.epoch).scalar_subquery()
    query = sa.select(kept.revision, kept.type, kept.id, kept.body).where(kept.revision > after, kept.epoch == epoch)
    found = await session.execute(query.order_by(kept.revision).limit(limit))
    return [Change(row.revision, row.type, row.id, msgspec.Raw(row.body.encode())) for row in found]
