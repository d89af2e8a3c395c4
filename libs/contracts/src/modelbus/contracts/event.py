"""An event is a fact in the past tense; on the bus it travels as a CloudEvent 1.0 in binary mode."""

from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Event(BaseModel):
    """Something that has happened, told once and never changed.

    Producers may not send fields that the class does not know (`extra="forbid"` at construction); hearers
    parse with `read_event`, which ignores what a newer teller added.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64")

    type: ClassVar[str]
    """The CloudEvents type; the NATS subject is the same word, literally."""

    version: ClassVar[str] = "1-0"
    """Version of the schema; within a major only optional fields are added."""

    def about(self) -> UUID | str | None:
        """Answer the id of the thing that the event is about, for the `subject` attribute."""
        return None


def read_event[E: Event](event_type: type[E], body: bytes) -> E:
    """Read the event from JSON, ignoring fields that a newer teller added.

    Raises:
        pydantic.ValidationError: the body is not JSON of that event.
    """
    return event_type.model_validate_json(body, extra="ignore")
