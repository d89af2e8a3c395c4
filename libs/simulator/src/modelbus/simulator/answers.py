"""What a provider is asked and what it answers, before any of it is on the wire."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Any, NamedTuple, Self

from modelbus.simulator.faults import Fault
from modelbus.simulator.listings import Listing


class Kind(StrEnum):
    """What a path is for; rules name requests by it."""

    MODELS = "models"
    CHAT = "chat"
    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    EMBEDDINGS = "embeddings"
    RESPONSES = "responses"
    COMPLETIONS = "completions"
    UNKNOWN = "unknown"


class Why(Enum):
    """Why a request is refused; each shape has its own words for it."""

    KEY_MISSING = auto()
    KEY_WRONG = auto()
    PATH_UNKNOWN = auto()
    MODEL_UNKNOWN = auto()
    REQUEST_WRONG = auto()
    REQUEST_TOO_LARGE = auto()
    CONTEXT_TOO_LONG = auto()
    CONTENT_FILTERED = auto()
    PREFILL_REFUSED = auto()


class RefusedError(Exception):
    """The provider refuses; `about` is the model, the parameter's complaint or the path that the words need."""

    def __init__(self, why: Why, about: str = "") -> None:
        super().__init__(why, about)
        self.why = why
        self.about = about


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, as far as a shape needs to know it."""

    kind: Kind
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    listing: Listing
    fault: Fault
    serial: int
    path: str

    @property
    def model(self) -> str:
        """The model asked for, or an empty text."""
        model = self.body.get("model")
        return model if isinstance(model, str) else ""

    @property
    def is_prefilled(self) -> bool:
        """The caller has begun the assistant's answer."""
        messages = self.body.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else None
        return isinstance(last, dict) and last.get("role") == "assistant"


class Part(Enum):
    """What an event of a stream is for; faults fall on events by it."""

    OPENING = auto()
    TOKEN = auto()
    CLOSING = auto()
    FINISH_REASON = auto()
    DONE = auto()


class Event(NamedTuple):
    """One server-sent event, ready for the wire."""

    part: Part
    wire: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and either a body or a stream of events."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: int = 0
    events: Iterable[Event] | None = None
    stream_error: bytes = b""

    @classmethod
    def of(cls, content: object, status: int = 200, tokens: int = 0) -> Self:
        """Answer with JSON."""
        return cls(json.dumps(content).encode(), status, tokens=tokens)


def data_event(content: object, name: str | None = None) -> bytes:
    """Write JSON as one server-sent event."""
    data = f"data: {json.dumps(content)}\n\n"
    return (f"event: {name}\n{data}" if name else data).encode()
