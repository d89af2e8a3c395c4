"""What the catalog does by the clock."""

from datetime import UTC, datetime

from modelbus.catalog.actions import history
from modelbus.catalog.actions.access_keys import end_graces
from modelbus.catalog.actions.credentials import end_coolings
from modelbus.catalog.actions.default_labels import lay_default_labels
from modelbus.catalog.actions.feed import Feed
from modelbus.catalog.actions.health import follow_claims, question_the_unclaimed, take_out_unhealthy
from modelbus.catalog.actions.popularity import forget_usage
from modelbus.catalog.actions.prices import turn_prices
from modelbus.catalog.actions.refusals import forget_refusals
from modelbus.catalog.actions.retirement import retire_due_models, retire_due_sources
from modelbus.catalog.actions.sessions import forget_over
from modelbus.catalog.actions.signing_keys import SigningKeys
from modelbus.catalog.actions.tagging import tend_tags
from modelbus.catalog.domain.health import Terms
from modelbus.catalog.store.prices import CHARGES, COSTS
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.chassis.outbox import Outbox
from modelbus.contracts.catalog import CatalogHeartbeat
from modelbus.contracts.envelope import Envelope

HEARTBEAT_S = 1.0
ADVANCE_S = 1.0
"""The feed keeps up by itself, so that whoever asks after a large change need not wait for it."""
AUDIT_S = 900.0
TIME_PASSES_S = 2.0
HEALTH_S = 1.0
PRICES_TURN_S = 1.0
FORGET_S = 3600.0
TEND_S = 600.0
TAG_S = 60.0


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
    async with database.transaction() as session:
        await forget_usage(session)
        await forget_refusals(session)
        await question_the_unclaimed(session)


async def let_time_pass(database: Database) -> None:
    """End what has had its time: coolings, graces of access keys, models and sources that retire or are down."""
    for end in (end_coolings, end_graces, retire_due_models, retire_due_sources, take_out_unhealthy):
        more = True
        while more:
            async with database.transaction() as session:
                more = await end(session)


async def follow_health(database: Database, terms: Terms) -> None:
    """Bring sources to the health that observers see, one supplier after another."""
    more = True
    while more:
        async with database.transaction() as session:
            more = await follow_claims(session, terms)


async def let_prices_turn(database: Database) -> None:
    """Bring into force the prices whose time has come, and end those whose time is over."""
    for book in (CHARGES, COSTS):
        more = True
        while more:
            async with database.transaction() as session:
                more = await turn_prices(session, book)


async def tend_labels(database: Database, *, has_defaults: bool) -> None:
    """Lay the labels that a catalog begins with, where wanted, and ask every rule of a tag about every model."""
    if has_defaults:
        async with database.transaction(Caller.system("defaults")) as session:
            await lay_default_labels(session)
    await tend_tags(database)


async def tend_identity(database: Database, keys: SigningKeys) -> None:
    """Let old signing keys give way, and forget sessions and attempts that nothing needs any more."""
    await keys.tend()
    async with database.transaction() as session:
        await forget_over(session)
