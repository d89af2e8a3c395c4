"""Hearing much at once: one transaction for whatever waits, and what fails in it is settled one by one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from builders import an_event
from modelbus.catalog.store.tables import parking
from modelbus.chassis.database import Database
from modelbus.chassis.hearing import TOGETHER, Heard, Hearing
from modelbus.chassis.ids import new_id
from modelbus.chassis.loops import repeat, stop
from modelbus.chassis.messaging import Bus
from modelbus.chassis.settling import SUSPECT_DELIVERIES
from modelbus.contracts.bus import CATALOG, Consumer
from modelbus.contracts.catalog import SyncRequested
from modelbus.contracts.envelope import Envelope
from running import eventually
from spans import a_cause, causes_of, kept_spans
from testing_bus import LocalBus

CONSUMER = Consumer(durable="sync", stream=CATALOG, events=(SyncRequested,), max_tries=2)
POISON = b'{"run_id": "not-an-id"}'


class Listener:
    """Notes what it hears, together and in order, and fails whenever a certain run is among it."""

    def __init__(self) -> None:
        self.heard: list[list[UUID]] = []
        self.failing: UUID | None = None
        self.outages: list[Exception] = []
        self.most = TOGETHER
        """As many at once do not take PostgreSQL too long."""

    async def hear(self, session: AsyncSession, heard: Sequence[Heard[Any]]) -> None:
        if len(heard) > self.most:
            await session.execute(text("SET LOCAL statement_timeout = 1"))
            await session.execute(text("SELECT pg_sleep_for('5 s')"))
        if self.outages:
            raise self.outages.pop()
        runs = [each.event.run_id for each in heard]
        if self.failing in runs:
            raise RuntimeError("failing")
        self.heard.append(runs)

    @property
    def runs(self) -> list[UUID]:
        return [run for together in self.heard for run in together]


@asynccontextmanager
async def hearing(database: Database, local: LocalBus, listener: Listener) -> AsyncIterator[Hearing]:
    connection = Bus(local.url, service="catalog")
    attached = Hearing(CONSUMER)
    attached.hear_together(listener.hear)
    attached.attach(connection, database, parking)
    connection.start()
    watch = asyncio.create_task(repeat("watch", attached.watch, every_s=0.2))
    try:
        yield attached
    finally:
        await stop([watch])
        await connection.stop()


async def tell(context: JetStreamContext, body: bytes | None = None, cause: str | None = None) -> UUID:
    event = an_event()
    envelope = Envelope(new_id(), event.type, "/test", datetime.now(UTC), b"", trace_parent=cause)
    await context.publish(event.type, body or event.model_dump_json().encode(), headers=envelope.headers())
    return event.run_id


@asynccontextmanager
async def telling(local: LocalBus) -> AsyncIterator[JetStreamContext]:
    client = await local.client()
    yield client.jetstream()
    await client.close()


async def test_what_waits_is_heard_in_order_and_in_few_transactions(catalog_database: Database, bus: LocalBus) -> None:
    async with telling(bus) as context:
        told = [await tell(context) for _ in range(TOGETHER + 50)]
    listener = Listener()

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: len(listener.runs) == len(told))

    assert listener.runs == told
    assert len(listener.heard) < 10


async def test_of_what_is_large_only_so_many_bytes_are_taken_at_once(catalog_database: Database, bus: LocalBus) -> None:
    body = an_event().model_dump_json().encode() + b" " * 200_000
    async with telling(bus) as context:
        for _ in range(90):
            await tell(context, body)
    listener = Listener()

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: len(listener.runs) == 90)

    assert 10 < max(map(len, listener.heard)) < 45


async def test_a_single_message_waits_for_no_other(
    catalog_database: Database, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelbus.chassis.hearing.TOGETHER_WAIT_S", 30.0)
    listener = Listener()
    async with hearing(catalog_database, bus, listener) as attached, telling(bus) as context:

        async def is_well() -> bool:
            return await attached.problem() is None

        await eventually(is_well)
        run = await tell(context)
        await eventually(lambda: listener.runs == [run], within_s=4)


async def test_a_message_that_can_not_succeed_is_parked_alone(catalog_database: Database, bus: LocalBus) -> None:
    listener = Listener()
    async with telling(bus) as context:
        before = await tell(context)
        await tell(context, POISON)
        listener.failing = await tell(context)
        after = await tell(context)

    async with hearing(catalog_database, bus, listener):

        async def both_are_parked() -> bool:
            return len((await parking.list_parked(50, None)).items) == 2

        await eventually(both_are_parked)

    assert listener.runs == [before, after]
    reasons = sorted(message.reason for message in (await parking.list_parked(50, None)).items)
    assert reasons[0] == "RuntimeError('failing')"
    assert reasons[1].startswith("body does not parse")


async def test_an_outage_is_nobodys_fault_and_all_come_again(catalog_database: Database, bus: LocalBus) -> None:
    listener = Listener()
    listener.outages = [ConnectionRefusedError("gone") for _ in range(3)]
    async with telling(bus) as context:
        told = {await tell(context) for _ in range(5)}

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: set(listener.runs) == told)

    assert (await parking.list_parked(50, None)).items == []


async def test_what_may_have_ended_who_heard_it_is_heard_alone(catalog_database: Database, bus: LocalBus) -> None:
    listener, attached = Listener(), Hearing(CONSUMER)
    attached.hear_together(listener.hear)
    attached.attach(Bus(bus.url, service="catalog"), catalog_database, parking)
    async with telling(bus) as context:
        await tell(context)
        subscription = await context.pull_subscribe_bind(CONSUMER.durable, stream=CONSUMER.stream.name)
        for _ in range(SUSPECT_DELIVERIES - 1):
            [suspect] = await subscription.fetch(1)
            await suspect.nak()
        [suspect] = await subscription.fetch(1)
        run = await tell(context)
        [other] = await subscription.fetch(1)

        assert not await attached._delivered_together([suspect, other])
        assert await attached._delivered_together([other])

    assert listener.heard == [[run]]


async def test_what_is_heard_together_goes_on_with_the_trace_of_each(catalog_database: Database, bus: LocalBus) -> None:
    listener, attached = Listener(), Hearing(CONSUMER)
    attached.hear_together(listener.hear)
    attached.attach(Bus(bus.url, service="catalog"), catalog_database, parking)
    causes = [a_cause(), a_cause()]
    async with telling(bus) as context:
        told = [await tell(context, cause=cause) for cause in (causes[0], None, causes[1], causes[0])]
        subscription = await context.pull_subscribe_bind(CONSUMER.durable, stream=CONSUMER.stream.name)
        messages = await subscription.fetch(len(told))

        with kept_spans() as kept:
            assert await attached._delivered_together(messages)

    assert listener.heard == [told]
    assert causes_of(kept, "process sync.requested") == ["", *sorted(causes)]


async def test_others_have_their_turn_while_much_is_read(
    catalog_database: Database, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener, attached = Listener(), Hearing(CONSUMER)
    attached.hear_together(listener.hear)
    attached.attach(Bus(bus.url, service="catalog"), catalog_database, parking)
    turns, read_at = 0, []

    async def take_turns() -> None:
        nonlocal turns
        turns += 1

    def read(message: Msg) -> Heard[Any] | None:
        read_at.append(turns)
        return Hearing._read(attached, message)

    monkeypatch.setattr(attached, "_read", read)
    async with telling(bus) as context:
        told = [await tell(context) for _ in range(5)]
        subscription = await context.pull_subscribe_bind(CONSUMER.durable, stream=CONSUMER.stream.name)
        messages = await subscription.fetch(len(told))

        others = asyncio.create_task(repeat("others", take_turns, every_s=0))
        assert await attached._delivered_together(messages)
        await stop([others])

    assert listener.heard == [told]
    assert len(set(read_at)) == len(told)


async def test_what_takes_the_database_too_long_together_is_heard_one_by_one(
    catalog_database: Database, bus: LocalBus
) -> None:
    listener = Listener()
    listener.most = 1
    async with telling(bus) as context:
        told = [await tell(context) for _ in range(5)]

    async with hearing(catalog_database, bus, listener):
        await eventually(lambda: len(listener.runs) == len(told))

    assert listener.runs == told
