"""What is heard at least once and must count once: events are noted in a table of the service, by id."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.hearing import Heard
from modelbus.contracts.event import Event


async def first_heard[E: Event](
    session: AsyncSession, table: sa.Table, heard: Iterable[Heard[E]], *, since: datetime
) -> list[E]:
    """Note events in a table with `event_id` and `told_at`; answer those that it did not have, and are not older."""
    told = {each.envelope.id: each for each in heard if each.envelope.time >= since}
    if not told:
        return []
    # In one order, so that two replicas never wait for one another in a ring.
    rows = [{"event_id": key, "told_at": told[key].envelope.time} for key in sorted(told)]
    noted = insert(table).values(rows).on_conflict_do_nothing().returning(table.c.event_id)
    return [told[key].event for key in await session.scalars(noted)]
