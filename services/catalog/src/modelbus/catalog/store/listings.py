"""Queries about listings that were applied."""

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.tables import applied_listings
from modelbus.contracts.catalog import CatalogSynced


async def is_applied(session: AsyncSession, run_id: UUID) -> bool:
    """Tell whether the run's listing has been applied."""
    query = sa.select(applied_listings.c.run_id).where(applied_listings.c.run_id == run_id)
    return await session.scalar(query) is not None


async def last_applied_at(session: AsyncSession, supplier_id: UUID) -> datetime | None:
    """Answer when the newest listing of the supplier was applied."""
    query = sa.select(sa.func.max(applied_listings.c.applied_at))
    at: datetime | None = await session.scalar(query.where(applied_listings.c.supplier_id == supplier_id))
    return at


async def newest_revision(session: AsyncSession, supplier_id: UUID) -> int:
    """Answer sync's revision of the newest listing of the supplier that was applied; 0 if there was none."""
    query = sa.select(sa.func.max(applied_listings.c.listing_revision))
    return await session.scalar(query.where(applied_listings.c.supplier_id == supplier_id)) or 0


async def insert_applied(
    session: AsyncSession, synced: CatalogSynced, *, digest: str, listing_revision: int, applied_at: datetime
) -> None:
    """Note that the run's listing has been applied."""
    counts = synced.model_dump(mode="json", exclude={"run_id", "supplier_id"})
    row: dict[str, Any] = {
        "run_id": synced.run_id,
        "supplier_id": synced.supplier_id,
        "digest": digest,
        "counts": counts,
    }
    row |= {"listing_revision": listing_revision, "applied_at": applied_at}
    await session.execute(sa.insert(applied_listings), [row])


async def forget_applied(session: AsyncSession, *, before: datetime) -> None:
    """Forget listings applied before that time, but keep each supplier's newest."""
    newest = sa.select(sa.func.max(applied_listings.c.applied_at)).where(
        applied_listings.c.supplier_id == sa.literal_column("outer_listings.supplier_id")
    )
    outer = applied_listings.alias("outer_listings")
    old = sa.select(outer.c.run_id).where(outer.c.applied_at < before, outer.c.applied_at < newest.scalar_subquery())
    await session.execute(sa.delete(applied_listings).where(applied_listings.c.run_id.in_(old)))
