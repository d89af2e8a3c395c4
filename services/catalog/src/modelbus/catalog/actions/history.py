"""What the catalog forgets: events, what became of listings, and idempotency keys that nobody will ask for any more."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import listings
from modelbus.catalog.store.tables import idempotency
from modelbus.chassis.idempotency import KEPT_FOR
from modelbus.chassis.outbox import KEPT, Outbox


async def forget_history(session: AsyncSession, outbox: Outbox, days: int) -> None:
    """Delete what is older than that; a follower that is further behind takes a snapshot."""
    now = datetime.now(UTC)
    before = now - timedelta(days=days)
    await outbox.forget(session, before=before)
    # For so long sync may announce a listing again.
    await listings.forget_settled(session, before=min(before, now - KEPT))
    await idempotency.forget(session, before=now - KEPT_FOR)
