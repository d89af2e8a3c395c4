"""Observations go to the bus directly: they are many, nobody's truth, and told again, so no outbox keeps them."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import PUBLISH_TIMEOUT_S, Bus
from modelbus.contracts.bus import Stream
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.event import Event

type Tell[E: Event] = Callable[[E], Awaitable[None]]
"""Puts an event on its stream; returns once it is stored there."""


def teller[E: Event](bus: Bus, stream: Stream, *, service: str) -> Tell[E]:
    """Answer what tells on the stream for the service.

    It raises nats.errors.Error while the bus is away.
    """

    async def tell(event: E) -> None:
        about = event.about()
        envelope = Envelope(
            id=new_id(),
            type=event.type,
            source=f"/modelbus/{service}",
            time=datetime.now(UTC),
            data=b"",
            subject=None if about is None else str(about),
            data_schema=f"/schemas/{event.type}/{event.version}.json",
        )
        context = (await bus.connected()).jetstream(timeout=PUBLISH_TIMEOUT_S)
        body = event.model_dump_json().encode()
        await context.publish(event.type, body, stream=stream.name, headers=envelope.headers())

    return tell
