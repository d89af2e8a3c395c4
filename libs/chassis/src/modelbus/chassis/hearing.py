"""Hearing: typed handlers on a durable pull consumer; what fails is retried later, what can't succeed is parked.

Handlers run one after another in the order of delivery, each in a transaction that commits before the message is
acknowledged: at least once, so every handler is idempotent by revision or unique key. A hearer that is told of much at
once may take whatever waits in one transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from faststream import AckPolicy
from faststream.nats import JStream, NatsMessage, PullSub
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from opentelemetry.trace import SpanKind
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import bound_contextvars

from modelbus.chassis import topology
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.database_outages import is_too_much
from modelbus.chassis.logs import logger
from modelbus.chassis.losses import Losses
from modelbus.chassis.messaging import Bus
from modelbus.chassis.outages import is_outage
from modelbus.chassis.parking import Parking
from modelbus.chassis.settling import Settling
from modelbus.chassis.tracing import span
from modelbus.contracts.bus import Consumer
from modelbus.contracts.envelope import Envelope, MalformedEnvelopeError, read_envelope
from modelbus.contracts.event import Event, read_event

WATCH_EVERY_S = 2.0
TOGETHER = 400
"""As many messages are taken at once by who takes them together; fewer than may be unanswered at a time."""
TOGETHER_BYTES = 4 * 1024 * 1024
"""No more are taken once they have so many bytes: what is read of them takes six times as much memory besides."""
_FETCHED_AT_ONCE = 20
TOGETHER_WAIT_S = 0.2
"""How long to wait for messages that another replica may have taken meanwhile."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Heard[E: Event]:
    """An event as it was heard: the fact, and what the bus says about it."""

    event: E
    envelope: Envelope

    @property
    def revision(self) -> int:
        """Answer the event's place in its teller's order; 0 where the teller does not number."""
        return self.envelope.revision or 0


type Handler[E: Event] = Callable[[AsyncSession, Heard[E]], Awaitable[None]]
type HandlerOfMany = Callable[[AsyncSession, Sequence[Heard[Any]]], Awaitable[None]]


class Hearing:
    """The handlers of one durable consumer: declare with `hear`, connect with `attach`."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.losses = Losses(consumer)
        self._handlers: dict[str, tuple[type[Event], Handler[Any]]] = {}
        self._together: HandlerOfMany | None = None
        self._turn = asyncio.Lock()
        self._problem: str | None = "not attached"
        self._must_restart = False

    def hear[E: Event](self, event_type: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """Register the handler of a type; it gets an open transaction and the event."""
        if event_type not in self.consumer.events:
            raise ValueError(f"consumer {self.consumer.durable} does not subscribe to {event_type.type}")

        def register(handler: Handler[E]) -> Handler[E]:
            self._handlers[event_type.type] = (event_type, handler)
            return handler

        return register

    def hear_together(self, handler: HandlerOfMany) -> HandlerOfMany:
        """Register one handler of every type; it gets whatever waits, in the order of delivery, and one transaction.

        What fails together is handled again one by one, so a message that can't succeed is parked alone.
        """

        async def handle_one(session: AsyncSession, heard: Heard[Any]) -> None:
            await handler(session, [heard])

        self._handlers = {event.type: (event, handle_one) for event in self.consumer.events}
        self._together = handler
        return handler

    def attach(self, bus: Bus, database: Database, parking: Parking) -> None:
        """Subscribe on the bus; messages flow once it is connected."""
        missing = {event.type for event in self.consumer.events} - self._handlers.keys()
        if missing:
            raise ValueError(f"consumer {self.consumer.durable} has no handler for {sorted(missing)}")
        self._bus, self._database, self._settling = bus, database, Settling(self.consumer, parking)
        parking.retry_with(self.consumer.durable, self._retry_parked)
        self._subscriber = bus.broker.subscriber(
            self.consumer.stream.subjects[0],
            stream=JStream(self.consumer.stream.name, declare=False),
            durable=self.consumer.durable,
            config=topology.consumer_config(self.consumer),
            # One at a time: the handlers of a larger batch would be started together, in any order, and a batch that
            # is not full would be waited for.
            pull_sub=PullSub(batch_size=1, timeout=5.0),
            # The client appends to it as it stands, and takes not what the connection was given.
            inbox_prefix=f"{bus.inbox_prefix}.".encode(),
            ack_policy=AckPolicy.MANUAL,
            decoder=_undecoded,
        )

        async def deliver(_body: bytes, message: NatsMessage) -> None:
            # The lock keeps an administrator's retry of a parked message from running beside it.
            async with self._turn:
                first = message.raw_message
                messages = [first, *await self._those_behind(first)]
                if len(messages) == 1 or not await self._delivered_together(messages):
                    for each in messages:
                        await self._deliver(each)

        self._subscriber(deliver)

    async def watch(self) -> None:
        """Find out whether the consumer still exists and mend it, and what it missed; to be repeated.

        The pull subscriber itself neither notices nor says that its consumer was deleted.
        """
        client = await self._bus.connected()
        context = client.jetstream(timeout=2.0)
        try:
            info = await context.consumer_info(self.consumer.stream.name, self.consumer.durable)
            await self.losses.look(context, info)
        except NotFoundError:
            log.warning("consumer is gone and is created anew", consumer=self.consumer.durable)
            self._problem = f"consumer {self.consumer.durable} was deleted"
            self._must_restart = True
        except (NatsError, OSError, TimeoutError) as error:
            self._problem = f"consumer {self.consumer.durable} can't be asked: {error!r}"
            return
        if self._must_restart:
            # Remembered until all of it succeeded: half a restart would leave a subscriber that looks well and is deaf.
            await topology.restore(context, self.consumer, self._bus.keeping)
            await self._subscriber.stop()
            await self._subscriber.start()
            self._must_restart = False
        self._problem = None

    async def problem(self) -> str | None:
        """Answer why nothing may be heard now; None when all is well."""
        return self._problem

    async def _those_behind(self, message: Msg) -> list[Msg]:
        """Take the messages that wait behind this one, if the hearer takes them together.

        Only as many as there are: a larger request would wait until it is full.
        """
        waiting = min(message.metadata.num_pending or 0, TOGETHER - 1)
        subscription = self._subscriber.subscription
        if self._together is None or not waiting or not isinstance(subscription, JetStreamContext.PullSubscription):
            return []
        found: list[Msg] = []
        size = len(message.data)
        while len(found) < waiting and size < TOGETHER_BYTES:
            wanted = min(waiting - len(found), _FETCHED_AT_ONCE)
            try:
                some = await subscription.fetch(batch=wanted, timeout=TOGETHER_WAIT_S)
            except (NatsError, TimeoutError):
                break
            found += some
            size += sum(len(each.data) for each in some)
            if len(some) < wanted:
                break  # Another replica has taken the others.
        return found

    async def _delivered_together(self, messages: Sequence[Msg]) -> bool:
        """Handle the messages in one transaction; answer whether that is settled, or each must be handled alone."""
        if any(self._settling.is_suspect(each) for each in messages):
            return False
        try:
            heard = []
            for message in messages:
                if (each := self._read(message)) is not None:
                    heard.append(each)
                # To read all of it takes up to a tenth of a second, and callers wait meanwhile.
                await asyncio.sleep(0)
            correlations = {each.envelope.correlation_id for each in heard}
            joined = {"correlation_id": correlations.pop()} if len(correlations) == 1 else {}
            with bound_contextvars(**joined), self._spans_of(heard):
                await self._handle_together(heard)
                log.debug("events are heard", count=len(heard), last_revision=heard[-1].revision if heard else None)
        except Exception as error:  # noqa: BLE001 - each is handled alone next, and that decides
            if not is_outage(error) or is_too_much(error):
                log.warning("events are handled one by one", error=repr(error), count=len(messages))
                return False
            log.warning("events wait for an outage to end", error=repr(error), count=len(messages))
            for message in messages:
                await self._settling.wait(message)
            return True
        self._settling.forgive(each.envelope.id for each in heard)
        for message in messages:
            await message.ack()
        return True

    async def _handle_together(self, heard: Sequence[Heard[Any]]) -> None:
        if heard and self._together is not None:
            teller = heard[0].envelope.source.rpartition("/")[2]
            async with self._database.transaction(Caller.system(teller)) as session:
                await self._together(session, heard)

    def _read(self, message: Msg) -> Heard[Any] | None:
        envelope = read_envelope(message.headers, message.data)
        known = self._handlers.get(envelope.type)
        return None if known is None else Heard(read_event(known[0], envelope.data), envelope)

    async def _deliver(self, message: Msg) -> None:
        try:
            envelope = read_envelope(message.headers, message.data)
        except MalformedEnvelopeError as error:
            await self._settling.park(message, None, repr(error), tries=1)
            return
        ids = {"event_id": str(envelope.id), "event_type": envelope.type, "revision": envelope.revision}
        correlation_id = envelope.correlation_id or str(envelope.id)
        with bound_contextvars(**ids, correlation_id=correlation_id), self._span_of(envelope):
            await self._handle_or_settle(message, envelope)

    @contextmanager
    def _spans_of(self, heard: Sequence[Heard[Any]]) -> Iterator[None]:
        """Go on with each of the traces that the events belong to; what is done within is told of the last."""
        causes = {each.envelope.trace_parent: each.envelope for each in heard}
        with ExitStack() as opened:
            # What belongs to none begins one, and would else go on with that of the one before.
            for envelope in sorted(causes.values(), key=lambda each: each.trace_parent is not None):
                opened.enter_context(self._span_of(envelope))
            yield

    def _span_of(self, envelope: Envelope) -> AbstractContextManager[Any]:
        """Go on with the trace of whoever caused the event."""
        attributes = {
            "messaging.system": "nats",
            "messaging.operation.type": "process",
            "messaging.destination.name": self.consumer.stream.name,
            "messaging.consumer.group.name": self.consumer.durable,
            "messaging.message.id": str(envelope.id),
        }
        return span(f"process {envelope.type}", SpanKind.CONSUMER, parent=envelope.trace_parent, attributes=attributes)

    async def _handle_or_settle(self, message: Msg, envelope: Envelope) -> None:
        try:
            if not await self._settling.begin(message, envelope):
                return
            try:
                await self._handle(envelope)
            finally:
                # Also where we are told to stop: only who is ended over it does not come here.
                await self._settling.end(message, envelope)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises, its message is settled
            await self._settling.fail(message, envelope, error)
        else:
            log.debug("event is heard")
            self._settling.forgive([envelope.id])
            await message.ack()

    async def _handle(self, envelope: Envelope) -> None:
        known = self._handlers.get(envelope.type)
        if known is None:
            return  # A newer teller's type on a subject of ours; nothing here depends on it.
        event_type, handler = known
        event = read_event(event_type, envelope.data)
        # Who told the event is for whom it is done: a listing's changes are sync's.
        async with self._database.transaction(Caller.system(envelope.source.rpartition("/")[2])) as session:
            await handler(session, Heard(event, envelope))

    async def _retry_parked(self, headers: dict[str, str], body: bytes) -> None:
        async with self._turn:
            await self._handle(read_envelope(headers, body))


async def _undecoded(message: Any) -> bytes:
    """Leave the body alone: a payload that does not parse must reach us to be parked."""
    body: bytes = message.body
    return body
