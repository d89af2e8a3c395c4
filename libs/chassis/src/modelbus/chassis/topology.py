"""The step that creates streams and consumers, and what a service does when they are lost; nothing else creates any."""

from dataclasses import dataclass, replace
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import NotFoundError

from modelbus.chassis.logs import logger
from modelbus.contracts.bus import ADVISORIES, ADVISORIES_STREAM, CONSUMERS, STREAMS, USAGE, Consumer, Stream

DUPLICATE_WINDOW_S = 120
ADVISORIES_BYTES = 16 * 1024 * 1024

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How the streams of one installation are kept."""

    replicas: int = 1
    """On how many nodes."""
    usage_bytes: int = USAGE.max_bytes
    """How much usage waits for who hears it."""

    def max_bytes(self, stream: Stream) -> int:
        """Answer how much of the stream is kept."""
        return self.usage_bytes if stream is USAGE else stream.max_bytes


def stream_config(stream: Stream, keeping: Keeping) -> StreamConfig:
    """Say how the stream is kept: on disk, on so many nodes, oldest out first, in whole and in order."""
    return StreamConfig(
        name=stream.name,
        subjects=stream.subjects,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_bytes=keeping.max_bytes(stream),
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
        num_replicas=keeping.replicas,
        # What was told can be taken back by nobody, an operator's slip included: a purge moves hearers past what they
        # have not heard, and nothing tells them.
        deny_delete=True,
        deny_purge=True,
    )


def consumer_config(consumer: Consumer) -> ConsumerConfig:
    """Say how the consumer is served; retries are delayed by the hearer, so no `backoff` here."""
    return ConsumerConfig(
        name=consumer.durable,
        durable_name=consumer.durable,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=consumer.ack_wait_s,
        # No limit: an outage of ours may last for days, and a limit would drop what waits for its end unheard.
        # The hearer counts the failures that are the message's own, and parks.
        max_deliver=-1,
        max_ack_pending=consumer.max_ack_pending,
        filter_subjects=[event.type for event in consumer.events],
    )


async def ensure(context: JetStreamContext, keeping: Keeping = Keeping()) -> None:
    """Create or update every stream and consumer; what is as it should be is not touched."""
    for wanted in _stream_configs(keeping):
        found = await _found_or_created(context, wanted)
        if _altered(found) != _altered(wanted):
            # What an operator has set besides stays as it is.
            await context.update_stream(replace(found, **_altered(wanted)))
            log.info("stream updated", stream=wanted.name)
    for consumer in CONSUMERS:
        await _ensure_consumer(context, consumer)


async def restore(context: JetStreamContext, consumer: Consumer, keeping: Keeping = Keeping()) -> None:
    """Create the streams that are lost and this consumer; a service may do no more, whatever its version wants."""
    for wanted in _stream_configs(keeping):
        await _found_or_created(context, wanted)
    await _ensure_consumer(context, consumer)


def _altered(config: StreamConfig) -> dict[str, Any]:
    """Answer what the step brings up to date."""
    return {
        "subjects": config.subjects,
        "max_bytes": config.max_bytes,
        "num_replicas": config.num_replicas or 1,
        "deny_delete": bool(config.deny_delete),
        "deny_purge": bool(config.deny_purge),
    }


def _stream_configs(keeping: Keeping) -> list[StreamConfig]:
    advisories = StreamConfig(
        name=ADVISORIES_STREAM,
        subjects=[ADVISORIES],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_bytes=ADVISORIES_BYTES,
        num_replicas=keeping.replicas,
        deny_delete=True,
        deny_purge=True,
    )
    return [*(stream_config(stream, keeping) for stream in STREAMS), advisories]


async def _found_or_created(context: JetStreamContext, wanted: StreamConfig) -> StreamConfig:
    try:
        return (await context.stream_info(wanted.name or "")).config
    except NotFoundError:
        await context.add_stream(wanted)
        log.info("stream created", stream=wanted.name)
        return wanted


async def _ensure_consumer(context: JetStreamContext, consumer: Consumer) -> None:
    wanted = consumer_config(consumer)
    try:
        found = (await context.consumer_info(consumer.stream.name, consumer.durable)).config
    except NotFoundError:
        found = None
    if found is None or (found.filter_subjects, found.ack_wait, found.max_ack_pending) != (
        wanted.filter_subjects,
        wanted.ack_wait,
        wanted.max_ack_pending,
    ):
        # Creating a durable consumer that exists updates it and keeps its place.
        await context.add_consumer(consumer.stream.name, wanted)
        log.info("consumer set", consumer=consumer.durable, stream=consumer.stream.name)
