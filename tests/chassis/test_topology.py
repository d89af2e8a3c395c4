"""Streams are kept as they are meant to be, and what they let go of unheard is known."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from nats.js import JetStreamContext
from nats.js.errors import APIError
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.tables import parking
from modelbus.chassis import topology
from modelbus.chassis.database import Database
from modelbus.chassis.database_figures import of_hearings
from modelbus.chassis.hearing import Heard, Hearing
from modelbus.chassis.ids import new_id
from modelbus.chassis.loops import repeat, stop
from modelbus.chassis.losses import Losses
from modelbus.chassis.messaging import Bus
from modelbus.chassis.topology import Keeping
from modelbus.contracts.bus import CATALOG, CATALOG_HEARS_USAGE, STREAMS, SYNC_HEARS_CATALOG, USAGE
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.event import Event
from modelbus.contracts.usage import UsageRecorded
from running import eventually
from testing_bus import LocalBus

FEW_BYTES = 64 * 1024


@pytest.fixture
async def context(bus: LocalBus) -> AsyncIterator[JetStreamContext]:
    client = await bus.client()
    yield client.jetstream()
    await client.close()


async def tell(context: JetStreamContext, event: Event, times: int) -> None:
    for _ in range(times):
        envelope = Envelope(new_id(), event.type, "/test", datetime.now(UTC), b"")
        headers = {**envelope.headers(), "padding": "x" * 4096}
        await context.publish(event.type, event.model_dump_json().encode(), headers=headers)


async def first_of(context: JetStreamContext, stream: str) -> int:
    return (await context.stream_info(stream)).state.first_seq


async def test_usage_is_kept_as_much_as_the_installation_wants(context: JetStreamContext) -> None:
    await topology.ensure(context, Keeping(usage_bytes=FEW_BYTES))

    sizes = {each.name: (await context.stream_info(each.name)).config.max_bytes for each in STREAMS}
    assert sizes == {each.name: each.max_bytes for each in STREAMS} | {"USAGE": FEW_BYTES}


async def test_what_an_operator_has_set_besides_outlives_the_step(context: JetStreamContext) -> None:
    found = (await context.stream_info(USAGE.name)).config
    await context.update_stream(replace(found, description="of ours", max_age=3600.0))

    await topology.ensure(context, Keeping(usage_bytes=FEW_BYTES))

    kept = (await context.stream_info(USAGE.name)).config
    assert (kept.description, kept.max_age, kept.max_bytes) == ("of ours", 3600.0, FEW_BYTES)


@pytest.mark.parametrize("stream", [*(each.name for each in STREAMS), "ADVISORIES"])
async def test_nobody_takes_messages_back(context: JetStreamContext, stream: str) -> None:
    await context.publish("sync.requested", b"{}")

    with pytest.raises(APIError, match="purge not permitted"):
        await context.purge_stream(stream)
    with pytest.raises(APIError, match="delete not permitted"):
        await context.delete_msg(stream, 1)


async def test_messages_that_a_full_stream_drops_unheard_are_counted(
    catalog_database: Database, bus: LocalBus, context: JetStreamContext
) -> None:
    await topology.ensure(context, Keeping(usage_bytes=FEW_BYTES))
    connection = Bus(bus.url, service="catalog")
    hearing, may_go_on = Hearing(CATALOG_HEARS_USAGE), asyncio.Event()

    @hearing.hear(UsageRecorded)
    async def wait(_session: AsyncSession, _heard: Heard[UsageRecorded]) -> None:
        await may_go_on.wait()

    hearing.attach(connection, catalog_database, parking)
    connection.start()
    watch = asyncio.create_task(repeat("watch", hearing.watch, every_s=0.05))
    await tell(context, UsageRecorded(router_id="one", requests=[]), 40)
    dropped = await first_of(context, USAGE.name) - 1

    # All but the few that were delivered before the others came.
    await eventually(lambda: dropped >= hearing.losses.count > dropped - 3)
    [counted, *_] = await of_hearings(connection, hearing)()
    may_go_on.set()
    await stop([watch])
    await connection.stop()

    assert dropped > 10
    [sample] = counted.samples
    assert (sample.labels, sample.value) == ({"consumer": "catalog-usage"}, hearing.losses.count)


def test_what_is_dropped_behind_one_place_is_counted_once() -> None:
    losses = Losses(CATALOG_HEARS_USAGE)
    for place, first in ((0, 1), (5, 4), (5, 6), (5, 7), (5, 8), (5, 8), (9, 10), (9, 12)):
        losses.note(place, first)

    assert losses.count == 2 + 2


async def test_messages_that_were_not_for_a_consumer_are_no_loss_to_it(context: JetStreamContext) -> None:
    found = (await context.stream_info(CATALOG.name)).config
    await context.update_stream(replace(found, max_msgs=5))
    for _ in range(20):
        await context.publish("model.changed", b"{}")
    losses = Losses(SYNC_HEARS_CATALOG)

    await losses.look(context, await context.consumer_info(CATALOG.name, SYNC_HEARS_CATALOG.durable))

    assert await first_of(context, CATALOG.name) == 16
    assert losses.count == 0
