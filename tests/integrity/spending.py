"""Routers as integrity meets them: what they tell of requests, on the real stream."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from nats.js import JetStreamContext

from modelbus.chassis.hearing import Heard
from modelbus.contracts.bus import USAGE
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.records import SourceRecord
from modelbus.contracts.usage import AttemptRecord, RequestRecord, SkippedRecord, Tokens, UsageRecorded


def an_attempt(source: SourceRecord, outcome: str = "ok") -> AttemptRecord:
    """Make a call of a source."""
    return AttemptRecord(
        id=uuid4(),
        number=1,
        model_id=source.model_id,
        source_id=source.id,
        supplier_id=source.supplier_id,
        credential_id=None,
        started_at=datetime.now(UTC),
        latency_ms=10,
        first_token_ms=None,
        status=200,
        outcome=outcome,
        error=None,
        tokens=Tokens(),
    )


def a_request(*attempts: AttemptRecord, skipped: tuple[SkippedRecord, ...] = (), **fields: Any) -> RequestRecord:
    """Make a request with its attempts and the places that it passed over."""
    defaults: dict[str, Any] = {
        "id": uuid4(),
        "access_key_id": None,
        "asked_for": "default-chat",
        "is_stream": False,
        "started_at": datetime.now(UTC),
        "latency_ms": 10,
        "status": 200,
        "outcome": "ok",
        "catalog_revision": 1,
    }
    return RequestRecord(attempts=list(attempts), skipped=list(skipped), **{**defaults, **fields})


async def tell_usage(context: JetStreamContext, *requests: RequestRecord, event_id: UUID | None = None) -> Envelope:
    """Put a batch on the stream, as a router does; with an `event_id` that was told before it is a double."""
    envelope = a_batch(*requests, event_id=event_id).envelope
    # Past the stream's own net against doubles.
    headers = {**envelope.headers(), "Nats-Msg-Id": str(uuid4())}
    await context.publish(envelope.type, envelope.data, stream=USAGE.name, headers=headers)
    return envelope


def a_batch(
    *requests: RequestRecord, event_id: UUID | None = None, told_at: datetime | None = None
) -> Heard[UsageRecorded]:
    """Make a batch as it is heard, told now if not otherwise."""
    event = UsageRecorded(router_id="r", requests=list(requests))
    body, time = event.model_dump_json().encode(), told_at or datetime.now(UTC)
    return Heard(event, Envelope(event_id or uuid4(), event.type, "/modelbus/router", time, body))
