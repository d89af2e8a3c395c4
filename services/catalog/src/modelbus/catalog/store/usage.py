"""How much each model was used: requests served, by day, as routers tell; each batch is counted once."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from itertools import batched
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.tables import heard_usage, model_usage, models
from modelbus.chassis.first_heard import first_heard
from modelbus.chassis.hearing import Heard
from modelbus.contracts.usage import UsageRecorded

_ADDED_AT_ONCE = 1000


async def take_uncounted(
    session: AsyncSession, heard: Iterable[Heard[UsageRecorded]], *, since: datetime
) -> list[UsageRecorded]:
    """Answer the batches that were not counted before and are not older, and note that they are."""
    return await first_heard(session, heard_usage, heard, since=since)


async def add_usage(session: AsyncSession, served: Mapping[tuple[date, UUID], int]) -> None:
    """Add requests served, by day and model."""
    # In one order, so that two batches never wait for one another in a ring.
    counted = [{"day": day, "model_id": key, "requests": served[day, key]} for day, key in sorted(served)]
    for some in batched(counted, _ADDED_AT_ONCE):
        added = insert(model_usage).values(some)
        total = model_usage.c.requests + added.excluded.requests
        await session.execute(added.on_conflict_do_update(index_elements=["day", "model_id"], set_={"requests": total}))


async def most_used(session: AsyncSession, *, today: date, days: int, count: int) -> list[UUID]:
    """Answer the models that served the most requests in that many days up to today, the most first."""
    query = (
        sa.select(model_usage.c.model_id)
        .join(models, models.c.id == model_usage.c.model_id)
        .where(model_usage.c.day > today - timedelta(days=days), models.c.deleted_at.is_(None))
        .group_by(model_usage.c.model_id)
        .order_by(sa.func.sum(model_usage.c.requests).desc(), model_usage.c.model_id)
        .limit(count)
    )
    return list(await session.scalars(query))


async def forget_usage(session: AsyncSession, *, before: datetime) -> None:
    """Delete what is older than any rule looks back."""
    await session.execute(sa.delete(model_usage).where(model_usage.c.day < before.date()))


async def forget_batches(session: AsyncSession, *, before: datetime) -> None:
    """Delete the batches that were told before that."""
    await session.execute(sa.delete(heard_usage).where(heard_usage.c.told_at < before))
