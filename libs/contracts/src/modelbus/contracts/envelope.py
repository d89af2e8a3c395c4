"""The envelope of an event on the bus: CloudEvents 1.0, binary mode written, binary and structured mode read.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/nats-protocol-binding.md
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec

SPEC_VERSION = "1.0"
STRUCTURED = "application/cloudevents+json"


class MalformedEnvelopeError(ValueError):
    """The message is not a CloudEvent 1.0; the text names the attribute that is missing or wrong."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the bus must know of an event, beside its body."""

    id: UUID
    type: str
    source: str
    time: datetime
    data: bytes
    """The event as JSON."""
    subject: str | None = None
    """Id of the thing that the event is about."""
    data_schema: str | None = None
    revision: int | None = None
    """Place of the event in its teller's gap-free order."""
    epoch: UUID | None = None
    """Revisions of different epochs can't be compared."""
    correlation_id: str | None = None
    trace_parent: str | None = None

    def headers(self) -> dict[str, str]:
        """Write the attributes as NATS headers, lower case, with the event's id as JetStream's message id."""
        written = {
            "ce-specversion": SPEC_VERSION,
            "ce-id": str(self.id),
            "ce-type": self.type,
            "ce-source": self.source,
            "ce-time": self.time.isoformat(),
            "content-type": "application/json",
            "Nats-Msg-Id": str(self.id),
        }
        optional = {
            "ce-subject": self.subject,
            "ce-dataschema": self.data_schema,
            "ce-revision": self.revision,
            "ce-epoch": self.epoch,
            "ce-correlationid": self.correlation_id,
            "traceparent": self.trace_parent,
        }
        written.update({name: str(value) for name, value in optional.items() if value is not None})
        return written


def read_envelope(headers: Mapping[str, str] | None, body: bytes) -> Envelope:
    """Read a message in binary or structured mode; header names may have any case.

    Raises:
        MalformedEnvelopeError: a required attribute is missing, or an attribute is not of its type.
    """
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    if lowered.get("content-type", "").startswith(STRUCTURED):
        attributes, data = _read_structured(body)
    else:
        attributes = {name[3:]: value for name, value in lowered.items() if name.startswith("ce-")}
        data = body
    if "traceparent" in lowered:
        attributes.setdefault("traceparent", lowered["traceparent"])
    return _envelope(attributes, data)


def _read_structured(body: bytes) -> tuple[dict[str, str], bytes]:
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        data = bytes(members.pop("data", msgspec.Raw(b"null")))
        return {name: str(msgspec.json.decode(value)) for name, value in members.items()}, data
    except msgspec.DecodeError as error:
        raise MalformedEnvelopeError(f"structured CloudEvent is not a JSON object: {error}") from error


def _envelope(attributes: Mapping[str, str], data: bytes) -> Envelope:
    if attributes.get("specversion") != SPEC_VERSION:
        raise MalformedEnvelopeError(f"specversion is {attributes.get('specversion')!r}, expected '1.0'")
    try:
        revision, epoch = attributes.get("revision"), attributes.get("epoch")
        return Envelope(
            id=UUID(attributes["id"]),
            type=attributes["type"],
            source=attributes["source"],
            time=datetime.fromisoformat(attributes["time"]),
            data=data,
            subject=attributes.get("subject"),
            data_schema=attributes.get("dataschema"),
            revision=None if revision is None else int(revision),
            epoch=None if epoch is None else UUID(epoch),
            correlation_id=attributes.get("correlationid"),
            trace_parent=attributes.get("traceparent"),
        )
    except KeyError as missing:
        raise MalformedEnvelopeError(f"attribute {missing} is missing") from missing
    except ValueError as wrong:
        raise MalformedEnvelopeError(f"an attribute is not of its type: {wrong}") from wrong
