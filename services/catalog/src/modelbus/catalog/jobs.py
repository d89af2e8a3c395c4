"""What the catalog does by the clock."""

from datetime import UTC, datetime

from modelbus.catalog.actions import history
from modelbus.catalog.actions.feed import Feed
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.chassis.outbox import Outbox
from modelbus.contracts.catalog import CatalogHeartbeat
from modelbus.contracts.envelope import Envelope

HEARTBEAT_S = 1.0
FORGET_S = 3600.0


async def tell_head(feed: Feed, bus: Bus, outbox: Outbox) -> None:
    """Tell the head, read from the database, to whoever listens; a follower that missed something finds out."""
    head = await feed.position()
    beat = CatalogHeartbeat(epoch=head.epoch, revision=head.revision)
    envelope = Envelope(
        id=new_id(),
        type=beat.type,
        source=outbox.source,
        time=datetime.now(UTC),
        data=b"",
        revision=head.revision,
        epoch=head.epoch,
    )
    await bus.publish(beat.type, beat.model_dump_json().encode(), envelope.headers())


async def forget_history(database: Database, outbox: Outbox, days: int) -> None:
    """Delete what the feed need not serve one by one any more."""
    async with database.transaction() as session:
        await history.forget_history(session, outbox, days)
