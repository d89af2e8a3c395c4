"""Queries about how often signing in was tried; in the database, so that all replicas count together."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.tables import attempts


async def count_attempt(session: AsyncSession, what: str, now: datetime, window: timedelta) -> tuple[int, datetime]:
    """Count one more attempt; answer how many there are in this window, and when it began."""
    first = insert(attempts).values(what=what, tries=1, since=now)
    is_over = attempts.c.since <= now - window
    counted = first.on_conflict_do_update(
        index_elements=[attempts.c.what],
        set_={
            "tries": sa.case((is_over, 1), else_=attempts.c.tries + 1),
            "since": sa.case((is_over, now), else_=attempts.c.since),
        },
    )
    row = (await session.execute(counted.returning(attempts.c.tries, attempts.c.since))).one()
    return row.tries, row.since


async def uncount_attempt(session: AsyncSession, what: str) -> None:
    """Take one attempt back."""
    await session.execute(
        sa.update(attempts).where(attempts.c.what == what, attempts.c.tries > 0).values(tries=attempts.c.tries - 1)
    )


async def forget_attempts(session: AsyncSession, what: str) -> None:
    """Begin to count anew."""
    await session.execute(sa.delete(attempts).where(attempts.c.what == what))


async def forget_old_attempts(session: AsyncSession, *, before: datetime) -> None:
    """Delete the counts whose window began before that time."""
    await session.execute(sa.delete(attempts).where(attempts.c.since < before))
