"""The paths under /v1 that carry traffic, and how each is spoken with suppliers of which protocol."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from modelbus.router.domain.errors import MalformedAnswerError, UntranslatableError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.answers import completion_of, message_of
from modelbus.router.wire.billing import NO_TIER
from modelbus.router.wire.chat_asked import messages_request
from modelbus.router.wire.chat_events import ChatEvents
from modelbus.router.wire.chunks_from_messages import ChunksFromMessages
from modelbus.router.wire.completions import read_completion
from modelbus.router.wire.envelopes import ANTHROPIC, OPENAI
from modelbus.router.wire.events import EventStream
from modelbus.router.wire.messages import MessageEvents, read_count, read_message
from modelbus.router.wire.messages_asked import chat_request
from modelbus.router.wire.messages_from_chunks import MessagesFromChunks
from modelbus.router.wire.other_events import PlainBytes, TypedEvents
from modelbus.router.wire.reading import read
from modelbus.router.wire.told import Told, raw_reason, response_reason
from modelbus.router.wire.usage import tokens_of

type Fields = Mapping[str, Raw]

_NOTHING = Raw(b"null")
LANGUAGE = ("language", "multimodal", "audio", "image", "video")
"""Everything that may hold a conversation; some models of sound and pictures do."""
EMBEDDING = ("embedding", "multimodal")
IMAGE, AUDIO, RERANK, MODERATION = (
    # Many listings tell no types, and what nobody told is taken for a language model.
    (model_type, "multimodal", "language")
    for model_type in ("image", "audio", "rerank", "moderation")
)


@dataclass(frozen=True, slots=True)
class Speech:
    """How one endpoint is spoken with suppliers of one protocol."""

    protocol: str
    path: str
    """Beneath the supplier's base URL."""
    read: Callable[[bytes], Told]
    """Checks an answer, and says it in the caller's words."""
    events: Callable[[bool], EventStream] | None = None
    """Reads a stream, and says it in the caller's words; told whether the caller wants to see the usage."""
    write: Callable[[Fields, str], bytes] | None = None
    """Says the request in the supplier's words; None sends what came, under the supplier's name of the model."""
    stream_type: str = "text/event-stream"
    """What the content type of a stream begins with."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path that callers know."""

    protocol: str
    """Whose words callers speak here."""
    speeches: Mapping[str, Speech] = field(repr=False)
    """By the protocol of suppliers; others can't serve it."""
    has_messages: bool = False
    has_stream_options: bool = False
    is_form: bool = False
    """The body is a form with files."""
    is_always_streamed: bool = False
    is_counting: bool = False
    """Where nobody can count, the router estimates."""
    types: tuple[str, ...] = LANGUAGE
    """The types of model that can be asked here; the default model is one of the first that has any."""

    @property
    def says_words(self) -> bool:
        """Tell whether an answer is text, which is billed by its length."""
        return self.types == LANGUAGE and not self.is_counting

    @property
    def makes_media(self) -> bool:
        """Tell whether an answer is dear, and rarely wanted twice."""
        return self.is_always_streamed or self.types == IMAGE


def read_object(body: bytes) -> Told:
    """Check that the body is a JSON object, and answer it with its tokens and, of a response, why it ended.

    Raises:
        MalformedAnswerError: it is none.
    """
    told = read(_used, body, "answered no JSON object")
    tokens = tokens_of(told.usage, told.service_tier)
    return Told(body, tokens, response_reason(raw_reason(told.status), told.incomplete_details))


def read_anything(body: bytes) -> Told:
    """Take any body, as a transcription may be plain text, and answer it with its tokens if it tells any."""
    try:
        return read_object(body)
    except MalformedAnswerError:
        return Told(body, Tokens())


class _Used(msgspec.Struct, gc=False):
    usage: Raw = _NOTHING
    service_tier: Raw = NO_TIER
    status: Raw = _NOTHING
    """Of a response."""
    incomplete_details: Raw = _NOTHING


_used = msgspec.json.Decoder(_Used).decode


def _said_by(translate: Callable[[Mapping[str, Any], str], dict[str, Any]]) -> Callable[[Fields, str], bytes]:
    def write(fields: Fields, upstream_name: str) -> bytes:
        try:
            asked = {name: msgspec.json.decode(value) for name, value in fields.items()}
            return msgspec.json.encode(translate(asked, upstream_name))
        except RecursionError as error:
            raise UntranslatableError("messages", "the request is nested too deep") from error

    return write


def _chat_events(shows_usage: bool) -> EventStream:  # noqa: FBT001 - the signature of Speech.events
    return ChatEvents(shows_usage=shows_usage)


def _chunks_from_messages(shows_usage: bool) -> EventStream:  # noqa: FBT001 - the same
    return ChunksFromMessages(shows_usage=shows_usage)


def _passed(path: str, types: tuple[str, ...] = LANGUAGE, *, is_form: bool = False) -> Endpoint:
    """An endpoint of OpenAI's that is passed through."""
    speech = Speech(OPENAI, path, read_anything if is_form else read_object, lambda _: TypedEvents())
    return Endpoint(OPENAI, {OPENAI: speech}, is_form=is_form, types=types)


CHAT = Endpoint(
    OPENAI,
    {
        OPENAI: Speech(OPENAI, "/chat/completions", read_completion, _chat_events),
        ANTHROPIC: Speech(
            ANTHROPIC, "/messages", completion_of, _chunks_from_messages, write=_said_by(messages_request)
        ),
    },
    has_messages=True,
    has_stream_options=True,
)
MESSAGES = Endpoint(
    ANTHROPIC,
    {
        ANTHROPIC: Speech(ANTHROPIC, "/messages", read_message, lambda _: MessageEvents()),
        OPENAI: Speech(
            OPENAI, "/chat/completions", message_of, lambda _: MessagesFromChunks(), write=_said_by(chat_request)
        ),
    },
    has_messages=True,
)
COUNT_TOKENS = Endpoint(
    ANTHROPIC,
    {ANTHROPIC: Speech(ANTHROPIC, "/messages/count_tokens", read_count)},
    has_messages=True,
    is_counting=True,
)
COMPLETIONS = Endpoint(
    OPENAI, {OPENAI: Speech(OPENAI, "/completions", read_completion, _chat_events)}, has_stream_options=True
)
SPEECH = Endpoint(
    OPENAI,
    {OPENAI: Speech(OPENAI, "/audio/speech", read_anything, lambda _: PlainBytes(), stream_type="")},
    is_always_streamed=True,
    types=AUDIO,
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType(
    {
        "/v1/chat/completions": CHAT,
        "/v1/messages": MESSAGES,
        "/v1/messages/count_tokens": COUNT_TOKENS,
        "/v1/completions": COMPLETIONS,
        "/v1/audio/speech": SPEECH,
        "/v1/embeddings": _passed("/embeddings", EMBEDDING),
        "/v1/responses": _passed("/responses"),
        "/v1/moderations": _passed("/moderations", MODERATION),
        "/v1/rerank": _passed("/rerank", RERANK),
        "/v1/images/generations": _passed("/images/generations", IMAGE),
        "/v1/images/edits": _passed("/images/edits", IMAGE, is_form=True),
        "/v1/images/variations": _passed("/images/variations", IMAGE, is_form=True),
        "/v1/audio/transcriptions": _passed("/audio/transcriptions", AUDIO, is_form=True),
        "/v1/audio/translations": _passed("/audio/translations", AUDIO, is_form=True),
    }
)
"""By the path that callers know."""
SPOKEN = frozenset({OPENAI, ANTHROPIC})
