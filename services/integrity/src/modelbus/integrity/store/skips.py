"""Queries about places that routers passed over: one row for each, until it is compared with the findings."""

from collections.abc import Collection
from datetime import datetime
from itertools import batched

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.findings import STALE_REFERENCE, State
from modelbus.integrity.domain.skips import Skip
from modelbus.integrity.store.tables import findings, skips

_KEY = ("holder_kind", "holder_id", "place_key", "target_id")
_AT_ONCE = 1000


async def add(session: AsyncSession, told: Collection[Skip], now: datetime) -> None:
    """Keep what was told until it is looked at; in one order, so that two batches never wait in a ring."""
    ordered = sorted(told, key=lambda skip: (*skip.holder, skip.place_key, skip.target_id))
    rows = [{**{name: getattr(skip, name) for name in Skip.__slots__}, "heard_at": now} for skip in ordered]
    for some in batched(rows, _AT_ONCE):
        added = insert(skips).values(some)
        new = added.excluded
        merged = {
            "reason": new.reason,
            "times": skips.c.times + new.times,
            "skipped_at": sa.func.greatest(skips.c.skipped_at, new.skipped_at),
            "catalog_revision": sa.func.greatest(skips.c.catalog_revision, new.catalog_revision),
        }
        await session.execute(added.on_conflict_do_update(index_elements=_KEY, set_=merged))


async def are_waiting(session: AsyncSession) -> bool:
    """Tell whether anything is to be looked at."""
    return bool(await session.scalar(sa.select(sa.exists().select_from(skips))))


async def take(session: AsyncSession, *, revision: int, heard_before: datetime, late_before: datetime) -> list[Skip]:
    """Take what is old enough, if the index has come as far as the router had, or will not any more."""
    has_come = (skips.c.heard_at < heard_before) & (skips.c.catalog_revision <= revision)
    due = sa.select(*(skips.c[name] for name in _KEY)).where(has_come | (skips.c.heard_at < late_before))
    key = sa.tuple_(*(skips.c[name] for name in _KEY))
    taken = sa.delete(skips).where(key.in_(due.limit(_AT_ONCE)))
    rows = await session.execute(taken.returning(*(skips.c[name] for name in Skip.__slots__)))
    return [Skip(*row) for row in rows]


async def is_flagged(session: AsyncSession, skip: Skip) -> bool:
    """Tell whether a finding says, or said when it was skipped, that the place is stale."""
    said = sa.exists().where(
        findings.c.rule == STALE_REFERENCE,
        findings.c.holder_kind == skip.holder_kind,
        findings.c.holder_id == skip.holder_id,
        findings.c.target_id == skip.target_id,
        (findings.c.state != State.RESOLVED) | (findings.c.closed_at >= skip.skipped_at),
    )
    return bool(await session.scalar(sa.select(said)))
