"""Reading a supplier's messages in Anthropic's shape, whole or in events: only what the router must know of them.

https://docs.claude.com/en/build-with-claude/streaming
"""

import re
from typing import ClassVar

import msgspec
from msgspec import Raw

from modelbus.router.domain.errors import LostError, MalformedAnswerError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.complaints import kind_of
from modelbus.router.wire.events import EventStream
from modelbus.router.wire.reading import read
from modelbus.router.wire.told import Told, reason_of
from modelbus.router.wire.usage import tokens_of

_NOTHING = Raw(b"null")


class _Message(msgspec.Struct, gc=False):
    content: list[Raw]
    stop_reason: str
    usage: Raw = _NOTHING


class _Started(msgspec.Struct, gc=False):
    usage: Raw = _NOTHING


class _Delta(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class MessageEvent(msgspec.Struct, gc=False):
    """One event of a streamed message."""

    type: str
    message: _Started | None = None
    delta: _Delta | None = None
    usage: Raw = _NOTHING
    error: Raw = _NOTHING


class _Counted(msgspec.Struct, gc=False):
    input_tokens: int


_message = msgspec.json.Decoder(_Message).decode
_event = msgspec.json.Decoder(MessageEvent).decode
_counted = msgspec.json.Decoder(_Counted).decode


def read_message(body: bytes) -> Told:
    """Check that the body is a message that has ended, and answer it with its tokens and why it ended.

    Raises:
        MalformedAnswerError: it is none.
    """
    told = read(_message, body, "answered no message")
    return Told(body, tokens_of(told.usage), reason_of(told.stop_reason))


def read_count(body: bytes) -> Told:
    """Check that the body counts tokens; counting uses none.

    Raises:
        MalformedAnswerError: it counts nothing.
    """
    read(_counted, body, "counted nothing")
    return Told(body, Tokens())


class MessageEvents(EventStream):
    """Relayed as it comes; ends by `message_stop`, and only after a stop reason."""

    notable: ClassVar[re.Pattern[bytes] | None] = re.compile(
        rb'"type"\s*:\s*"(?:message_start|message_delta|message_stop|error)"'
    )

    def _hear(self, event: bytes, payload: bytes) -> bytes:
        told = read(_event, payload, "sent a malformed event")
        match told.type:
            case "message_start" if told.message:
                self.tokens = tokens_of(told.message.usage)
            case "content_block_start" | "content_block_delta":
                self.has_substance |= told.type == "content_block_delta"
            case "message_delta":
                self.has_substance = True
                if told.delta is not None and told.delta.stop_reason is not None:
                    self.has_finished, self.end_reason = True, reason_of(told.delta.stop_reason)
                self._note_usage(tokens_of(told.usage))
            case "message_stop":
                if not self.has_finished:
                    raise LostError("stream cut", "stopped without a stop reason")
                self.is_done = True
            case "error":
                raise MalformedAnswerError("gave up within the stream", kind_of(told.error))
        return event

    def _end(self) -> bytes:
        if not self.has_finished:
            raise LostError("stream cut", "it ended without a stop reason")
        self.is_done = True
        return b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def _note_usage(self, told: Tokens) -> None:
        """Take what is told at the end, which may leave out what was told at the beginning."""
        if told.output is None:
            return
        self.has_all_tokens = True
        self.tokens = _followed(self.tokens, told)


def _followed(begun: Tokens, told: Tokens) -> Tokens:
    return Tokens(
        input=begun.input if told.input is None else told.input,
        cached_input=begun.cached_input if told.cached_input is None else told.cached_input,
        output=told.output,
        reasoning=told.reasoning,
        cache_write=begun.cache_write if told.cache_write is None else told.cache_write,
        cache_write_1h=begun.cache_write_1h if told.cache_write_1h is None else told.cache_write_1h,
        billed_apart=tuple(dict.fromkeys(begun.billed_apart + told.billed_apart)),
    )
