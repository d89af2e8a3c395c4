"""A streamed completion of OpenAI's, relayed as it comes."""

import re
from typing import ClassVar

from modelbus.router.domain.errors import LostError, MalformedAnswerError
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.complaints import kind_of
from modelbus.router.wire.completions import read_chunk
from modelbus.router.wire.events import EventStream
from modelbus.router.wire.told import reason_of
from modelbus.router.wire.usage import tokens_of

DONE = b"data: [DONE]\n\n"


class ChatEvents(EventStream):
    """Ends by `[DONE]`, and only after a finish reason."""

    notable: ClassVar[re.Pattern[bytes] | None] = re.compile(
        rb'"(?:finish_reason"\s*:\s*"[^"]|usage"\s*:\s*\{|error"\s*:\s*[{"])'
    )

    def __init__(self, *, shows_usage: bool) -> None:
        super().__init__()
        self._shows_usage = shows_usage

    def _hear(self, event: bytes, payload: bytes) -> bytes:
        if payload == b"[DONE]":
            if not self.has_finished:
                raise LostError("stream cut", "done without a finish reason")
            self.is_done = True
            return event
        chunk = read_chunk(payload)
        if chunk.is_error:
            raise MalformedAnswerError("gave up within the stream", kind_of(chunk.error))
        if (reason := chunk.finish_reason) is not None:
            self.has_finished = True
            self.end_reason = self.end_reason or reason_of(reason)
        self.has_substance |= chunk.has_substance
        tokens = tokens_of(chunk.usage, chunk.service_tier)
        if tokens != Tokens():
            self.tokens, self.has_all_tokens = tokens, True
        return b"" if chunk.is_usage_only and not self._shows_usage else event

    def _end(self) -> bytes:
        if not self.has_finished:
            raise LostError("stream cut", "it ended without a finish reason")
        self.is_done = True
        return DONE
