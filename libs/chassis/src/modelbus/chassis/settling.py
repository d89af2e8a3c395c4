"""What becomes of a message that could not be handled: it is told again later, or parked after too many failures."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from nats.aio.msg import Msg
from pydantic import ValidationError

from modelbus.chassis.database_outages import is_too_much
from modelbus.chassis.ids import id_of
from modelbus.chassis.logs import logger
from modelbus.chassis.outages import is_outage
from modelbus.chassis.parking import Parking
from modelbus.contracts.bus import Consumer
from modelbus.contracts.envelope import Envelope

LONGEST_RETRY_S = 60.0
LONGEST_OUTAGE_TRIES = 5
"""During an outage the delay grows no further than to that of the fifth try, so that its end is noticed soon."""
MOST_TOO_MUCH = 20
"""So often PostgreSQL may give a message's statements up for what they take: half an hour or so, if for their time.

A server that is burdened for as long is an outage; what takes too much even after it would be told again for ever.
"""
SUSPECT_DELIVERIES = 3
"""What is delivered so often may have ended who handled it; that each is begun is noted from then on."""
MOST_BEGINNINGS = 3
_PARKING_TRIES = 3

log = logger(__name__)


class Settling:
    """Settles the messages of one consumer that failed."""

    def __init__(self, consumer: Consumer, parking: Parking) -> None:
        self._consumer = consumer
        self._parking = parking
        self._failures: dict[UUID, int] = {}
        """Failures per event that were its own; deliveries during an outage do not count."""

    def forgive(self, event_ids: Iterable[UUID]) -> None:
        """Forget the failures of events that are done with."""
        for event_id in event_ids:
            self._failures.pop(event_id, None)

    def is_suspect(self, message: Msg) -> bool:
        """Tell whether the message was told so often that it may be what ends who handles it."""
        return (message.metadata.num_delivered or 1) >= SUSPECT_DELIVERIES

    async def begin(self, message: Msg, envelope: Envelope) -> bool:
        """Note that a suspect is begun; answer False where it was too often, without an end, and is parked.

        Who is ended for want of memory can count nothing, and the message would be told again for ever.
        """
        if not self.is_suspect(message):
            return True
        times = await self._parking.begin(self._consumer.durable, envelope.id)
        if times <= MOST_BEGINNINGS:
            return True
        log.error("event is parked", error="whoever handled it has ended over it", tries=times - 1)
        reason = f"begun {times - 1} times and never done with: each time the process that handled it has ended"
        await self.park(message, envelope, reason, tries=times - 1)
        await self.end(message, envelope)
        return False

    async def end(self, message: Msg, envelope: Envelope) -> None:
        """Note that what `begin` noted is done with, however it went; while that can't be noted, it counts."""
        if not self.is_suspect(message):
            return
        try:
            await self._parking.end(self._consumer.durable, envelope.id)
        except Exception as error:
            if not is_outage(error):
                raise

    async def wait(self, message: Msg) -> None:
        """Have it told again: an outage is not the message's fault, it may come again as often as it takes."""
        deliveries = message.metadata.num_delivered or 1
        await message.nak(delay=retry_delay_s(min(deliveries, LONGEST_OUTAGE_TRIES)))

    async def fail(self, message: Msg, envelope: Envelope, error: Exception) -> None:
        """Have it told again, later each time, until it has failed too often by itself; then park it."""
        if isinstance(error, ValidationError):
            await self.park(message, envelope, f"body does not parse: {error}", tries=1)
            return
        may_be_burden = is_too_much(error)
        if is_outage(error) and not may_be_burden:
            deliveries = message.metadata.num_delivered
            log.warning("event waits for an outage to end", error=repr(error), deliveries=deliveries)
            await self.wait(message)
            return
        # Where in our code PostgreSQL ran out of time or memory tells nothing.
        where = None if may_be_burden else error
        tries = self._failures[envelope.id] = self._failures.get(envelope.id, 0) + 1
        if tries >= max(self._consumer.max_tries, MOST_TOO_MUCH if may_be_burden else 0):
            log.error("event is parked", error=repr(error), tries=tries, exc_info=where)
            await self.park(message, envelope, repr(error), tries=tries)
        else:
            log.warning("event is retried", error=repr(error), tries=tries, exc_info=where)
            await message.nak(delay=retry_delay_s(tries))

    async def park(self, message: Msg, envelope: Envelope | None, reason: str, *, tries: int) -> None:
        """Keep it for an administrator; while that can't be, it is told again."""
        try:
            await self._parking.park(
                id=self._id_of(message),
                consumer=self._consumer.durable,
                subject=message.subject,
                headers=dict(message.headers or {}),
                body=message.data,
                reason=reason,
                tries=tries,
                event_id=envelope.id if envelope else None,
                parked_at=datetime.now(UTC),
            )
        except Exception as error:
            if not is_outage(error):
                raise
            await message.nak(delay=retry_delay_s(_PARKING_TRIES))
        else:
            self.forgive([] if envelope is None else [envelope.id])
            await message.ack()

    def _id_of(self, message: Msg) -> UUID:
        """Make an id of where the message lies, as one without an envelope has none: told again, it is the same."""
        told = message.metadata
        return id_of(f"{self._consumer.durable}/{told.stream}/{told.sequence.stream}", told.timestamp)


def retry_delay_s(tries: int) -> float:
    """Answer how long to wait before the next delivery: doubling from 0.2 s to 60 s, with jitter."""
    longest = min(LONGEST_RETRY_S, 0.2 * 2.0**tries)
    return random.uniform(longest / 2, longest)  # noqa: S311 - spreads load
