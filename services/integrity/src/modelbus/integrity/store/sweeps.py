"""Queries about sweeps."""

from dataclasses import asdict
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.sweeps import Sweep
from modelbus.integrity.store.tables import findings, index_head, sweeps


async def save(session: AsyncSession, sweep: Sweep) -> None:
    """Keep what came of a sweep."""
    await session.execute(sa.insert(sweeps).values(asdict(sweep)))


async def page(session: AsyncSession, limit: int, before: UUID | None) -> list[Sweep]:
    """List sweeps, the newest first, from before that id on."""
    query = sa.select(sweeps).order_by(sweeps.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(sweeps.c.id < before)
    return [Sweep(**row._mapping) for row in await session.execute(query)]  # noqa: SLF001 - public in SQLAlchemy


async def find(session: AsyncSession, sweep_id: UUID) -> Sweep | None:
    """Find a sweep."""
    row = (await session.execute(sa.select(sweeps).where(sweeps.c.id == sweep_id))).one_or_none()
    return None if row is None else Sweep(**row._mapping)  # noqa: SLF001 - public in SQLAlchemy


async def count_findings(session: AsyncSession, since: datetime) -> tuple[int, int]:
    """Count the findings that were opened, and those that were closed, since then."""
    opened = sa.func.count().filter(findings.c.opened_at >= since)
    closed = sa.func.count().filter(findings.c.closed_at >= since)
    row = (await session.execute(sa.select(opened, closed).select_from(findings))).one()
    return int(row[0]), int(row[1])


async def read_swept_on(session: AsyncSession) -> date | None:
    """Read the day of the last nightly sweep."""
    return await session.scalar(sa.select(index_head.c.swept_on))


async def save_swept_on(session: AsyncSession, day: date, *, is_first: bool) -> None:
    """Say that the sweep of that night is done; where it is the first, only if none ever was."""
    said = sa.update(index_head).values(swept_on=day)
    await session.execute(said.where(index_head.c.swept_on.is_(None)) if is_first else said)
