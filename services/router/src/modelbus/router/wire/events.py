"""Server-sent events on their way through: raw bytes, of which few are read.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from modelbus.router.domain.errors import AttemptFailedError, MalformedAnswerError
from modelbus.router.ledger.entries import Tokens

LARGEST_EVENT = 1024 * 1024
"""What an event may have where nobody says otherwise; whoever relays streams does."""
_MAY_BEGIN_END = 3
"""So many bytes may be the beginning of what ends an event."""
_EVENT = re.compile(rb".*?(?:\r\n\r\n|\n\n|\r\r)", re.DOTALL)
# Possessive, as nothing shorter would do: an answer may be one text of many megabytes.
_SAID = re.compile(
    rb'"(?:content|text|thinking|reasoning_content|partial_json|arguments|delta)"\s*:\s*"((?:[^"\\]++|\\.)++)"'
)


class EventStream(ABC):
    """Takes a stream piece by piece, answers what may go on, and knows how far the stream has come."""

    notable: ClassVar[re.Pattern[bytes] | None] = None
    """What an event that must be read looks like, once there is a first token; None reads every one.

    In JSON a quote inside a text is escaped, so what a model says can't look like a field's name. Reading each event
    costs a fifth of a stream; this filter is all that most events meet.
    """

    def __init__(self) -> None:
        self.largest_event = LARGEST_EVENT
        """In bytes."""
        self._begun = bytearray()
        """What has come of an event that is not whole, but for the last bytes: an event may come in many pieces."""
        self._rest = b""
        self.tokens = Tokens()
        """What the supplier told of its usage so far."""
        self.has_all_tokens = False
        """The supplier has told all of it."""
        self.passed_bytes = 0
        self.passed_events = 0
        self.frame_bytes = 0
        """What the event of the first token held beside its text."""
        self.has_substance = False
        """The first token, or whatever counts as it, has come."""
        self.has_finished = False
        """The reason for the end has come."""
        self.end_reason: str | None = None
        """The reason, where the supplier has a word for it."""
        self.is_done = False
        """The last event has come."""
        self.failure: AttemptFailedError | None = None
        """What is wrong with the stream."""

    def take(self, piece: bytes) -> bytes:
        """Answer the events that are whole by now, less those that the caller is not to see.

        Where one is wrong, `failure` tells so from then on; what came before it is still good.
        """
        if self.is_done or self.failure:
            return b""
        whole = self._whole_events(piece)
        if not whole:
            return b""
        count = whole.count(b"\n\n")
        # An event that was cut short does not end as JSON does.
        is_plain = self.has_substance and self.notable and whole.count(b"}\n\n") == count > 0
        if is_plain and self.notable and not self.notable.search(whole):
            self.passed_bytes += len(whole)
            self.passed_events += count
            return whole
        return b"".join(self._passing(whole))

    def _whole_events(self, piece: bytes) -> bytes:
        pending = self._rest + piece
        end = max(pending.rfind(b"\n\n") + 2, pending.rfind(b"\r\n\r\n") + 4, pending.rfind(b"\r\r") + 2)
        # A separator that is not there leaves -1 plus its length.
        if pending[:end].endswith((b"\n\n", b"\r\n\r\n", b"\r\r")):
            whole, self._rest = pending[:end], pending[end:]
            if self._begun:
                whole = bytes(self._begun) + whole
                self._begun.clear()
            return whole
        self._begun += pending[:-_MAY_BEGIN_END]
        self._rest = pending[-_MAY_BEGIN_END:]
        if len(self._begun) > self.largest_event:
            self.failure = MalformedAnswerError("sent an endless event", f"more than {self.largest_event} bytes")
        return b""

    def end(self) -> bytes:
        """Hear that the supplier has ended the stream; answer what is still missing to end it well.

        `failure` tells that it did not end well.
        """
        last = self.take(b"\n\n") if self._begun or self._rest.strip() else b""
        if self.is_done or self.failure:
            return last
        try:
            return last + self._end()
        except AttemptFailedError as error:
            self.failure = error
            return last

    @abstractmethod
    def _hear(self, event: bytes, payload: bytes) -> bytes:
        """Answer what goes on for an event; raises AttemptFailedError where it is wrong."""

    @abstractmethod
    def _end(self) -> bytes:
        """Answer what ends a stream that the supplier ended; raises LostError where it was cut."""

    def _passing(self, whole: bytes) -> Iterator[bytes]:
        for event in _events_of(whole):
            payload = _payload(event)
            if payload is None:
                yield event
                continue
            try:
                yield self._hear(event, payload)
            except AttemptFailedError as error:
                self.failure = error
                return
            self._count(event)

    def _count(self, event: bytes) -> None:
        """Count what may have to be estimated: events from the first token on."""
        if not self.has_substance or self.has_finished:
            return
        self.passed_bytes += len(event)
        self.passed_events += 1
        if not self.frame_bytes and (said := _SAID.search(event)):
            self.frame_bytes = len(event) - len(said[1])


def _events_of(whole: bytes) -> list[bytes]:
    # Looking for one end alone is much the quickest, and an event may hold a picture.
    if b"\r" in whole:
        return _EVENT.findall(whole)
    return [event + b"\n\n" for event in whole.split(b"\n\n")[:-1]]


def said_bytes(answer: bytes) -> int:
    """Count the bytes that an answer, or one event of it, says beside its frame."""
    return sum(len(said) for said in _SAID.findall(answer))


def _payload(event: bytes) -> bytes | None:
    """Answer the event's data; None if it has none, as a comment."""
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines).strip() if lines else None
