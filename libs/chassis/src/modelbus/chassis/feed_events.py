"""Hearing the catalog's events on core NATS, in turns with whatever else there is to do."""

import asyncio
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg

from modelbus.chassis.loops import pause_s
from modelbus.chassis.messaging import Bus
from modelbus.chassis.outages import is_outage
from modelbus.contracts.bus import CATALOG
from modelbus.contracts.catalog import CatalogHeartbeat

APPLIED_AT_ONCE = 25
BREATH_S = 0.002
"""In a storm so many changes are applied, and then all others have so long: requests that are under way need many turns
of the loop, and would wait for as many changes at each of them."""
_HEARD_AT_ONCE = 20
_LOOK_S = 0.5


async def listen(
    bus: Bus, hear: Callable[[Msg], None], is_behind: Callable[[], bool], reconnected: Callable[[], None]
) -> None:
    """Subscribe to every event of the catalog, for ever; `hear` only takes notes."""
    failures = 0
    while True:
        client = await bus.connected()
        try:
            for subject in (*CATALOG.subjects, CatalogHeartbeat.type):
                await client.subscribe(subject, cb=_in_turns(hear, is_behind))
            # The client's first ping overtakes what it has not sent yet, these for one; the second follows them.
            await client.flush()
            await client.flush()
        except Exception as error:
            if not is_outage(error):
                raise
            failures += 1
            await asyncio.sleep(pause_s(failures))
            continue
        break
    # The client itself renews the subscriptions after a reconnect; what was missed meanwhile is asked for.
    reconnects = -1
    while True:
        if bus.reconnects != reconnects:
            reconnects = bus.reconnects
            reconnected()
        await asyncio.sleep(_LOOK_S)


def _in_turns(hear: Callable[[Msg], None], is_behind: Callable[[], bool]) -> Callable[[Msg], Awaitable[None]]:
    in_a_row = 0

    async def heard(message: Msg) -> None:
        nonlocal in_a_row
        in_a_row += 1
        if in_a_row >= _HEARD_AT_ONCE:
            # The client hands over all that has come, however much, without giving anybody else a turn.
            in_a_row = 0
            await asyncio.sleep(BREATH_S if is_behind() else 0)
        hear(message)

    return heard
