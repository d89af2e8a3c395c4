"""What the catalog forgets: events and applied listings that nobody will ask for one by one any more."""

from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import listings
from modelbus.chassis.outbox import Outbox


async def forget_history(session: AsyncSession, outbox: Outbox, days: int) -> None:
    """Delete what is older than that; a follower that is further behind takes a snapshot."""
    before = datetime.now(UTC) - timedelta(days=days)
    await outbox.forget(session, before=before)
    await listings.forget_applied(session, before=before)
