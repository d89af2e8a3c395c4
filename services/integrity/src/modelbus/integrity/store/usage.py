"""Queries about usage: requests by hour and target, each batch counted once, for as long as anybody looks back."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import batched
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.first_heard import first_heard
from modelbus.chassis.hearing import Heard
from modelbus.contracts.usage import UsageRecorded
from modelbus.integrity.domain.usage import Use
from modelbus.integrity.store.keys import among
from modelbus.integrity.store.tables import heard_usage, usage_hours

_ADDED_AT_ONCE = 1000


async def take_uncounted(
    session: AsyncSession, heard: Iterable[Heard[UsageRecorded]], *, since: datetime
) -> list[UsageRecorded]:
    """Answer the batches that were not counted before and are not older, and note that they are."""
    return await first_heard(session, heard_usage, heard, since=since)


async def add(session: AsyncSession, used: Mapping[tuple[datetime, UUID], Use]) -> None:
    """Add uses, by hour and target."""
    # In one order, so that two batches never wait for one another in a ring.
    counted = [
        {"hour": hour, "target_id": target_id, "requests": use.requests, "failures": use.failures}
        for (hour, target_id), use in sorted(used.items(), key=lambda each: each[0])
    ]
    for some in batched(counted, _ADDED_AT_ONCE):
        added = insert(usage_hours).values(some)
        totals = {name: usage_hours.c[name] + added.excluded[name] for name in ("requests", "failures")}
        await session.execute(added.on_conflict_do_update(index_elements=["hour", "target_id"], set_=totals))


async def list_uses(session: AsyncSession, target_ids: Collection[UUID], since: datetime) -> dict[UUID, Use]:
    """Add up the uses of some targets since an hour; who was not used is left out."""
    sums = (
        sa.select(usage_hours.c.target_id, sa.func.sum(usage_hours.c.requests), sa.func.sum(usage_hours.c.failures))
        .where(among(usage_hours.c.target_id, target_ids), usage_hours.c.hour >= since)
        .group_by(usage_hours.c.target_id)
    )
    return {
        target_id: Use(int(requests), int(failures)) for target_id, requests, failures in await session.execute(sums)
    }


async def forget(session: AsyncSession, *, before: datetime) -> None:
    """Delete what nobody looks back to."""
    await session.execute(sa.delete(usage_hours).where(usage_hours.c.hour < before))
    await session.execute(sa.delete(heard_usage).where(heard_usage.c.told_at < before))
