"""What is old is let go of, by the clock."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from builders import an_event
from modelbus.chassis.database import Database
from modelbus.chassis.outbox import KEPT, record
from modelbus.integrity import jobs
from modelbus.integrity.store.tables import outbox


async def test_events_that_were_told_long_ago_leave_the_outbox_but_for_the_newest(
    integrity_database: Database,
) -> None:
    rows = outbox.rows
    for _ in range(4):
        async with integrity_database.transaction() as session:
            await record(session, an_event())
    long_ago = datetime.now(UTC) - KEPT - timedelta(minutes=1)
    async with integrity_database.transaction() as session:
        await session.execute(sa.update(rows).values(recorded_at=long_ago).where(rows.c.revision != 3))

    await jobs.forget(integrity_database)

    async with integrity_database.reading() as session:
        assert (await session.scalars(sa.select(rows.c.revision).order_by(rows.c.revision))).all() == [3, 4]
