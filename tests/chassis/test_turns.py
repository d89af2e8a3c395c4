"""A client of the bus that is flooded leaves turns to everything else."""

import asyncio
from typing import Any

import pytest
from nats.aio.msg import Msg

from modelbus.chassis.messaging import Bus
from running import eventually
from testing_bus import LocalBus, is_heard

EVENTS = 2_000
FEW = 50


@pytest.mark.parametrize("reconnects", [0, 1])
async def test_a_flood_of_events_leaves_turns_to_everything_else(bus: LocalBus, reconnects: int) -> None:
    heard, most_in_a_turn = 0, 0

    async def hear(_: Msg) -> None:
        nonlocal heard
        heard += 1

    async def live() -> None:
        nonlocal most_in_a_turn
        before = 0
        while heard < EVENTS:
            most_in_a_turn = max(most_in_a_turn, heard - before)
            before = heard
            await asyncio.sleep(0)

    ours = Bus(bus.url, service="test")
    ours.start()
    client = await ours.connected()
    subscription = await client.subscribe("flood", cb=hear)
    for _ in range(reconnects):
        bus.server.kill()
        bus.server.restart()
    await eventually(lambda: ours.is_connected and ours.reconnects == reconnects)
    parser: Any = client._ps
    living = asyncio.create_task(live())
    # As the read loop gives it to the parser when so much has come.
    await parser.parse(b"MSG flood %d 500\r\n%b\r\n" % (subscription._id, b"x" * 500) * EVENTS)
    async with asyncio.timeout(10):
        await living
    await ours.stop()

    assert heard == EVENTS
    assert 0 < most_in_a_turn < FEW


async def test_what_is_cut_in_two_by_a_turn_is_whole_for_who_hears_it(bus: LocalBus) -> None:
    ours = Bus(bus.url, service="test")
    ours.start()
    client = await ours.connected()
    subscription = await client.subscribe("large")
    other = await bus.client()
    await is_heard(client)
    bodies = [
        bytes([65 + number % 26]) * size for number, size in enumerate((1, 8_191, 8_192, 8_193, 100_000, 700_000))
    ]
    for body in bodies:
        await other.publish("large", body, headers={"Number": str(len(body))})
    await other.flush()

    messages = [await subscription.next_msg(timeout=10) for _ in bodies]
    await other.close()
    await ours.stop()

    assert [message.data for message in messages] == bodies
    assert [message.headers for message in messages] == [{"Number": str(len(body))} for body in bodies]
