"""Streams of OpenAI's other endpoints - responses, images, transcriptions, speech - relayed as they come."""

import re
from typing import ClassVar

import msgspec
from msgspec import Raw

from modelbus.router.domain.errors import LostError, MalformedAnswerError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.billing import NO_TIER
from modelbus.router.wire.complaints import kind_of
from modelbus.router.wire.events import EventStream
from modelbus.router.wire.reading import read
from modelbus.router.wire.told import response_reason
from modelbus.router.wire.usage import tokens_of

_NOTHING = Raw(b"null")
_LAST = ("response.completed", "response.incomplete", "response.failed")


class _Response(msgspec.Struct, gc=False):
    usage: Raw = _NOTHING
    service_tier: Raw = NO_TIER
    incomplete_details: Raw = _NOTHING


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    response: _Response | None = None
    usage: Raw = _NOTHING


_PICTURE = re.compile(rb'"type"\s*:\s*"[\w.]+\.partial_image"')
_event = msgspec.json.Decoder(_Event).decode


class TypedEvents(EventStream):
    """Events that say their type: https://platform.openai.com/docs/api-reference/responses-streaming."""

    notable: ClassVar[re.Pattern[bytes]] = re.compile(
        rb'"type"\s*:\s*"(?:response\.(?:completed|incomplete|failed)|[\w.]+\.(?:completed|done|partial_image)|error)"'
    )

    def _hear(self, event: bytes, payload: bytes) -> bytes:
        if payload == b"[DONE]":
            return event
        told = read(_event, payload, "sent a malformed event")
        if told.type == "error":
            raise MalformedAnswerError("gave up within the stream", kind_of(payload))
        self.has_finished |= self._is_last(told.type)
        self.has_substance |= self.has_finished or ".delta" in told.type or ".partial" in told.type
        tokens = tokens_of(told.response.usage, told.response.service_tier) if told.response else tokens_of(told.usage)
        if tokens != Tokens():
            self.tokens, self.has_all_tokens = tokens, True
        self.is_done = self.has_finished and told.type in _LAST
        if self.is_done:
            details = told.response.incomplete_details if told.response else _NOTHING
            self.end_reason = response_reason(told.type.removeprefix("response."), details)
        return event

    def _count(self, event: bytes) -> None:
        # By its bytes a picture would be estimated at a million tokens.
        if not _PICTURE.search(event):
            super()._count(event)

    def _is_last(self, kind: str) -> bool:
        return kind in _LAST or (not kind.startswith("response.") and kind.endswith((".completed", ".done")))

    def _end(self) -> bytes:
        if not self.has_finished:
            raise LostError("stream cut", "it ended without its last event")
        self.is_done = True
        return b""


class PlainBytes(EventStream):
    """No events at all, as sound: whatever comes goes on, and it ends when the body does."""

    def take(self, piece: bytes) -> bytes:
        """Answer it as it is."""
        self.has_substance |= bool(piece)
        return piece

    def _hear(self, event: bytes, _payload: bytes) -> bytes:
        return event

    def _end(self) -> bytes:
        self.is_done = True
        return b""
