"""Listings in PostgreSQL, compressed; the last few of each supplier."""

import zlib
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.errors import ListingNotKeptError
from modelbus.sync.domain.runs import Run, Status
from modelbus.sync.store.tables import listings, runs


async def save_listing(
    session: AsyncSession, run: Run, body: bytes, left_out: list[dict[str, Any]], fetched_at: datetime
) -> None:
    """Keep the listing of a run; `body` is JSON."""
    row = {
        "run_id": run.id,
        "supplier_id": run.supplier_id,
        "body": zlib.compress(body),
        "left_out": left_out,
        "fetched_at": fetched_at,
    }
    await session.execute(sa.insert(listings).values(row))


async def read_listing(session: AsyncSession, run_id: UUID) -> bytes:
    """Answer the listing as JSON.

    Raises:
        ListingNotKeptError: there is none any more, or never was.
    """
    body = await session.scalar(sa.select(listings.c.body).where(listings.c.run_id == run_id))
    if body is None:
        raise ListingNotKeptError(run_id)
    return zlib.decompress(body)


async def find_left_out(session: AsyncSession, run_id: UUID) -> list[dict[str, Any]] | None:
    """Answer the entries that did not become models; None when the listing is not kept."""
    left_out: list[dict[str, Any]] | None = await session.scalar(
        sa.select(listings.c.left_out).where(listings.c.run_id == run_id)
    )
    return left_out


async def delete_old(session: AsyncSession, *, keep: int, unanswered_before: datetime) -> int:
    """Delete all but the last `keep` listings of each supplier, and answer how many went.

    One that the catalog has yet to read stays, unless it was fetched before that time; and the last that it applied,
    with which the next ones are compared.
    """
    rank = sa.func.row_number().over(partition_by=listings.c.supplier_id, order_by=listings.c.fetched_at.desc())
    ranked = sa.select(listings.c.run_id, listings.c.fetched_at, rank.label("place")).subquery()
    is_awaited = (runs.c.status == Status.FETCHED) & (ranked.c.fetched_at >= unanswered_before)
    applied = (
        sa.select(listings.c.run_id)
        .join(runs, runs.c.id == listings.c.run_id)
        .where(runs.c.status == Status.APPLIED)
        .ext(distinct_on(listings.c.supplier_id))
        .order_by(listings.c.supplier_id, listings.c.fetched_at.desc())
    )
    is_compared = ranked.c.run_id.in_(applied)
    old = (
        sa.select(ranked.c.run_id)
        .join(runs, runs.c.id == ranked.c.run_id)
        .where(ranked.c.place > keep, ~is_awaited, ~is_compared)
    )
    deleted = await session.execute(sa.delete(listings).where(listings.c.run_id.in_(old)).returning(listings.c.run_id))
    return len(deleted.all())
