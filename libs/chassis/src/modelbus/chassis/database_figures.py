"""Figures of what stands on a database: the outbox and its relay, hearers, parked messages."""

from collections.abc import Iterable

import sqlalchemy as sa
from nats.js.errors import NotFoundError
from prometheus_client.metrics_core import Metric

from modelbus.chassis.database import Database
from modelbus.chassis.hearing import Hearing
from modelbus.chassis.messaging import Bus
from modelbus.chassis.metrics import LONGEST_READ_S, Ask, counters, gauge, gauges
from modelbus.chassis.outbox import Outbox
from modelbus.chassis.parking import Parking
from modelbus.chassis.relay import Relay


def of_relay(relay: Relay, database: Database, outbox: Outbox) -> Ask:
    """Show who leads, and what the outbox holds that the stream does not; only who leads, or tries to, knows that."""

    async def ask() -> Iterable[Metric]:
        async with database.reading() as session:
            head = await outbox.read_head(session)
        is_known = relay.is_leader or relay.is_refused
        lag = {(): float(max(head.revision - relay.relayed, 0))} if is_known else {}
        return (
            gauge("modelbus_relay_leader", "1 on the replica that tells the outbox.", relay.is_leader),
            gauge("modelbus_outbox_revision", "Newest event of the outbox.", head.revision),
            gauges("modelbus_outbox_lag", "Events that the stream has yet to get; on who tells them.", [], lag),
        )

    return ask


def of_hearings(bus: Bus, *hearings: Hearing) -> Ask:
    """Show what waits for each durable consumer; replicas share it, and show the same."""

    async def ask() -> Iterable[Metric]:
        pending: dict[tuple[str, ...], float] = {}
        unanswered: dict[tuple[str, ...], float] = {}
        context = (await bus.connected()).jetstream(timeout=LONGEST_READ_S)
        for consumer in (hearing.consumer for hearing in hearings):
            try:
                told = await context.consumer_info(consumer.stream.name, consumer.durable)
            except NotFoundError:
                continue  # The watchdog makes it anew.
            pending[consumer.durable,] = told.num_pending or 0
            unanswered[consumer.durable,] = told.num_ack_pending or 0
        dropped = {(hearing.consumer.durable,): float(hearing.losses.count) for hearing in hearings}
        return (
            counters("modelbus_consumer_dropped", "Messages dropped before they were heard.", ["consumer"], dropped),
            gauges("modelbus_consumer_pending", "Messages that wait to be delivered.", ["consumer"], pending),
            gauges("modelbus_consumer_unanswered", "Messages delivered and not answered.", ["consumer"], unanswered),
        )

    return ask


def of_parking(parking: Parking, database: Database) -> Ask:
    """Show what waits for an administrator."""

    async def ask() -> Iterable[Metric]:
        query = sa.select(parking.rows.c.consumer, sa.func.count()).group_by(parking.rows.c.consumer)
        async with database.reading() as session:
            parked = {(consumer,): float(count) for consumer, count in (await session.execute(query)).all()}
        return (gauges("modelbus_parked_messages", "Messages that could not be handled.", ["consumer"], parked),)

    return ask
