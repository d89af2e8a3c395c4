"""What a stream has let go of before a consumer heard it: a full stream drops its oldest messages, and tells nobody."""

from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo

from modelbus.chassis.logs import logger
from modelbus.contracts.bus import Consumer

log = logger(__name__)


class Losses:
    """The messages that one consumer has missed, as far as they were missed since the process began.

    Known only of consumers that take all of their stream: the place of another one does not move with messages that it
    does not take, so what it has missed can't be told from what was not for it.
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._takes_all = set(consumer.events) == set(consumer.stream.events)
        self._place = 0
        self._noted = 0
        """Of the messages missed behind that place."""
        self.count = 0

    async def look(self, context: JetStreamContext, info: ConsumerInfo) -> None:
        """Compare where the consumer is with where its stream begins.

        Raises:
            nats.errors.Error: the bus is away.
        """
        if not self._takes_all or info.ack_floor is None:
            return
        stream = (await context.stream_info(self._consumer.stream.name)).state
        self.note(info.ack_floor.stream_seq, stream.first_seq)

    def note(self, place: int, first: int) -> None:
        """Count what lies between the last message that was answered and the first that there still is."""
        if place != self._place:
            self._place, self._noted = place, 0
        missed = max(first - 1 - place, 0)
        if missed > self._noted:
            log.error(
                "messages were dropped before they were heard",
                consumer=self._consumer.durable,
                count=missed,
                after=place,
            )
            self.count += missed - self._noted
            self._noted = missed
