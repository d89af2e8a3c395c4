"""What suppliers answered, as it came, in PostgreSQL; the last few of each supplier."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.errors import RawListingNotKeptError
from modelbus.sync.domain.runs import Run
from modelbus.sync.store.tables import raw_listings


async def save_raw(session: AsyncSession, run: Run, packed: bytes, kept_at: datetime) -> None:
    """Keep the packed answers that a run got."""
    row = {"run_id": run.id, "supplier_id": run.supplier_id, "body": packed, "kept_at": kept_at}
    await session.execute(sa.insert(raw_listings).values(row))


async def read_raw(session: AsyncSession, run_id: UUID) -> bytes:
    """Answer the packed answers.

    Raises:
        RawListingNotKeptError: there are none any more, or never were.
    """
    packed: bytes | None = await session.scalar(sa.select(raw_listings.c.body).where(raw_listings.c.run_id == run_id))
    if packed is None:
        raise RawListingNotKeptError(run_id)
    return packed


async def delete_old(session: AsyncSession, *, keep: int) -> int:
    """Delete all but the last `keep` of each supplier, and answer how many went."""
    place = sa.func.row_number().over(partition_by=raw_listings.c.supplier_id, order_by=raw_listings.c.kept_at.desc())
    ranked = sa.select(raw_listings.c.run_id, place.label("place")).subquery()
    old = sa.select(ranked.c.run_id).where(ranked.c.place > keep)
    deleted = sa.delete(raw_listings).where(raw_listings.c.run_id.in_(old)).returning(raw_listings.c.run_id)
    return len((await session.execute(deleted)).all())
