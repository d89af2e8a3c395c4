"""The step that creates streams and consumers, and what a service does when they are lost; nothing else creates any."""

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
from modelbus.contracts.bus import ADVISORIES, ADVISORIES_STREAM, CONSUMERS, STREAMS, Consumer, Stream

DUPLICATE_WINDOW_S = 120
ADVISORIES_BYTES = 16 * 1024 * 1024

log = logger(__name__)


def stream_config(stream: Stream, replicas: int = 1) -> StreamConfig:
    """Say how the stream is kept: on disk, on so many nodes, oldest out first, in whole and in order."""
    return StreamConfig(
        name=stream.name,
        subjects=stream.subjects,
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_bytes=stream.max_bytes,
        duplicate_window=DUPLICATE_WINDOW_S,
        allow_direct=True,
        num_replicas=replicas,
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


async def ensure(context: JetStreamContext, replicas: int = 1) -> None:
    """Create or update every stream and consumer; what is as it should be is not touched."""
    for wanted in _stream_configs(replicas):
        found = await _found_or_created(context, wanted)
        if _altered(found) != _altered(wanted):
            await context.update_stream(wanted)
            log.info("stream updated", stream=wanted.name)
    for consumer in CONSUMERS:
        await _ensure_consumer(context, consumer)


async def restore(context: JetStreamContext, consumer: Consumer, replicas: int = 1) -> None:
    """Create the streams that are lost and this consumer; a service may do no more, whatever its version wants."""
    for wanted in _stream_configs(replicas):
        await _found_or_created(context, wanted)
    await _ensure_consumer(context, consumer)


def _altered(config: StreamConfig) -> tuple[object, ...]:
    """Answer what the step brings up to date."""
    return config.subjects, config.max_bytes, config.num_replicas or 1


def _stream_configs(replicas: int) -> list[StreamConfig]:
    advisories = StreamConfig(
        name=ADVISORIES_STREAM,
        subjects=[ADVISORIES],
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_bytes=ADVISORIES_BYTES,
        num_replicas=replicas,
    )
    return [*(stream_config(stream, replicas) for stream in STREAMS), advisories]


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
