"""Server-sent events of a completion on their way through: raw bytes, of which few are read.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from collections.abc import Iterator

from modelbus.router.domain.errors import AttemptFailedError, LostError, MalformedAnswerError
from modelbus.router.journey.completion import read_chunk, tokens_of
from modelbus.router.ledger.entries import Tokens

DONE = b"data: [DONE]\n\n"
LARGEST_EVENT = 1024 * 1024

_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r)", re.DOTALL)
# In JSON a quote inside a text is escaped, so what a model says can't look like these. Reading each event costs a
# fifth of a stream; this filter is all that most events meet.
_NOTABLE = re.compile(rb'"(?:finish_reason"\s*:\s*"|usage"\s*:\s*\{|error"\s*:\s*[{"])')


class EventStream:
    """Takes a stream piece by piece, answers what may go on, and knows how far the stream has come."""

    def __init__(self, *, shows_usage: bool) -> None:
        self._shows_usage = shows_usage
        self._rest = b""
        self.tokens = Tokens()
        self.has_substance = False
        """The first token, or whatever counts as it, has come."""
        self.has_finished = False
        """A finish reason has come."""
        self.is_done = False
        """`[DONE]` has come."""
        self.failure: AttemptFailedError | None = None
        """What is wrong with the stream."""

    def take(self, piece: bytes) -> bytes:
        """Answer the events that are whole by now, less those that the caller is not to see.

        Where one is wrong, `failure` tells so from then on; what came before it is still good.
        """
        if self.is_done or self.failure:
            return b""
        pending = self._rest + piece
        end = max(pending.rfind(b"\n\n") + 2, pending.rfind(b"\r\n\r\n") + 4, pending.rfind(b"\r\r") + 2)
        # A separator that is not there leaves -1 plus its length.
        end = end if pending[:end].endswith((b"\n\n", b"\r\n\r\n", b"\r\r")) else 0
        whole, self._rest = pending[:end], pending[end:]
        if len(self._rest) > LARGEST_EVENT:
            self.failure = MalformedAnswerError("sent an endless event")
        if self.has_substance and whole.endswith(b"}\n\n") and not _NOTABLE.search(whole):
            return whole
        return b"".join(self._passing(whole))

    def end(self) -> bytes:
        """Hear that the supplier has ended the stream; answer what is still missing to end it well.

        `failure` tells that it did not end well.
        """
        last = self.take(b"\n\n") if self._rest.strip() else b""
        if self.is_done or self.failure:
            return last
        if not self.has_finished:
            self.failure = LostError("stream cut", "it ended without a finish reason")
            return last
        self.is_done = True
        return last + DONE

    def _passing(self, whole: bytes) -> Iterator[bytes]:
        for event in _EVENT.findall(whole):
            try:
                if self._goes_on(event):
                    yield event
            except AttemptFailedError as error:
                self.failure = error
                return

    def _goes_on(self, event: bytes) -> bool:
        payload = _payload(event)
        if payload is None:
            return True
        if payload == b"[DONE]":
            if not self.has_finished:
                raise LostError("stream cut", "done without a finish reason")
            self.is_done = True
            return True
        chunk = read_chunk(payload)
        if chunk.is_error:
            raise MalformedAnswerError("gave up within the stream", bytes(chunk.error)[:200].decode(errors="replace"))
        self.has_finished |= chunk.is_finish
        self.has_substance |= chunk.has_substance
        tokens = tokens_of(chunk.usage)
        if tokens != Tokens():
            self.tokens = tokens
        return self._shows_usage or not chunk.is_usage_only


def _payload(event: bytes) -> bytes | None:
    """Answer the event's data; None if it has none, as a comment."""
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines).strip() if lines else None
