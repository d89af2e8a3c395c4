"""A streamed completion, from its first token on: relayed as it comes, and never ended cleanly when it was cut."""

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

from modelbus.router.domain.errors import (
    AttemptFailedError,
    MalformedAnswerError,
    TimedOutError,
    UpstreamFailedError,
    UpstreamLateError,
)
from modelbus.router.journey.ask import Ask
from modelbus.router.journey.trip import CUT, OK, Attempt
from modelbus.router.upstream.client import Answer
from modelbus.router.wire.envelopes import Attempts, error_event
from modelbus.router.wire.estimates import streamed_tokens
from modelbus.router.wire.events import EventStream

_MOST_HELD = 256 * 1024
_TIMES_ASKED = 4
"""What opens a stream may repeat of the request: responses repeat instructions and tools, in two events."""
_GOODBYE_S = 0.1

type Broken = Callable[[AttemptFailedError], Attempts]
"""Hears that a stream broke off after its first token, and answers what was tried."""


class RelayedStream:
    """The caller's side of a supplier's stream."""

    def __init__(
        self, answer: Answer, attempt: Attempt, events: EventStream, *, ask: Ask, until: float, broken: Broken
    ) -> None:
        self.until = until
        self._answer = answer
        self._attempt = attempt
        self._ask = ask
        self._broken = broken
        self._pieces = answer.iter()
        self._events = events
        self._held = b""
        self.is_over = False

    async def begin(self, by: float, stream_type: str, asked_bytes: int) -> None:
        """Hold back what comes until there is a first token: until then another attempt can still replace this one.

        What opens the stream may repeat what was asked, in so many bytes.

        Raises:
            AttemptFailedError: no first token comes, or none until the loop time `by`.
        """
        content_type = self._answer.headers.get("content-type", "")
        if not content_type.startswith(stream_type):
            raise MalformedAnswerError("answered no stream", content_type[:100])
        try:
            async with asyncio.timeout_at(by):
                self._held = await self._hold_back(_MOST_HELD + _TIMES_ASKED * asked_bytes)
        except TimeoutError as error:
            raise TimedOutError("sent no token in time") from error
        finally:
            # Anthropic tells its input first, and bills it whatever follows.
            self._attempt.tokens = self._events.tokens
        self._attempt.note_first_token()

    async def _hold_back(self, most: int) -> bytes:
        held = bytearray()
        while not (self._events.has_substance or self._events.is_done):
            if len(held) > most:
                raise MalformedAnswerError("sent no token for too long", f"but {len(held)} bytes")
            piece = await anext(self._pieces, None)
            held += self._events.end() if piece is None else self._events.take(piece)
            if self._events.failure:
                raise self._events.failure
        return bytes(held)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            held, self._held = self._held, b""
            self._note_progress()
            return held
        if self.is_over:
            await self._say_goodbye()
            raise StopAsyncIteration
        try:
            ready = await self._next_events()
        except AttemptFailedError as error:
            return self._break_off(error)
        self._note_progress()
        return ready

    async def pour(self, write: Callable[[bytes], bool]) -> None:
        """Write events as they come, up to the last ones or a failure, and up to one that is not taken."""

        def take(piece: bytes) -> bool:
            ready = self._events.take(piece)
            goes_on = not (self._events.is_done or self._events.failure)
            if goes_on and (not ready or write(ready)):
                return True
            self._held = ready
            return False

        if not (self.is_over or self._held or self._events.failure):
            await self._answer.pour(take)

    async def _next_events(self) -> bytes:
        while not (self._events.failure or self._events.is_done):
            piece = await anext(self._pieces, None)
            ready = self._events.end() if piece is None else self._events.take(piece)
            if ready:
                return ready
        if self._events.failure:
            raise self._events.failure
        return b""  # Some streams end with their body, and need no last event.

    def _note_progress(self) -> None:
        if self._events.is_done:
            self.is_over = True
            self._note_tokens()
            self._attempt.end_reason = self._events.end_reason
            self._attempt.end(OK)

    def _break_off(self, error: AttemptFailedError) -> bytes:
        self.is_over = True
        self._note_tokens()
        self._attempt.end(CUT, error)
        is_late = isinstance(error, TimedOutError)
        status = HTTPStatus.GATEWAY_TIMEOUT if is_late else HTTPStatus.BAD_GATEWAY
        code = UpstreamLateError.code if is_late else UpstreamFailedError.code
        words = f"the answer broke off: {error.what}"
        return error_event(self._ask.endpoint.protocol, status, words, code, self._broken(error))

    def _note_tokens(self) -> None:
        self._attempt.tokens = streamed_tokens(self._events, self._ask.fields)

    @property
    def is_spent(self) -> bool:
        """Whether the supplier's body has come to its end."""
        return self._answer.is_spent

    async def _say_goodbye(self) -> None:
        """Wait a moment for the end of the body, so that the connection can be used again."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                while await anext(self._pieces, None) is not None:
                    pass
        except (TimeoutError, AttemptFailedError):
            pass  # Then it is closed; the completion is whole, or was told to be broken.

    def give_up(self) -> None:
        """Hear that the caller does not take what there is for it."""
        self._attempt.end(CUT, "the caller did not read on in time")

    def close(self) -> None:
        """Close the supplier's connection, unless it was read to its end."""
        if not self.is_over:
            self._note_tokens()
        self._answer.close()
