"""Answers that were given, as many as a number of bytes holds; whatever was not asked for longest goes first."""

from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

from modelbus.router.cache.records import Model, Source
from modelbus.router.cache.table import Table
from modelbus.router.journey.reply import Headers, Reply
from modelbus.router.journey.trip import Trip
from modelbus.router.memo.questions import Question

_OVERHEAD_BYTES = 1024
"""What an answer takes beside its body, roughly."""
_LARGEST_PART = 8
"""No answer may take more than this part of all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, by whom, and what the catalog said then."""

    body: bytes
    headers: Headers
    question: Question
    model: Model
    source: Source
    given_at: float

    @property
    def size(self) -> int:
        """The bytes that it takes."""
        return len(self.body) + _OVERHEAD_BYTES

    def holds(self, question: Question, table: Table, now: float) -> bool:
        """Tell whether it would be given still: it is in time, and nothing of model, source and scope has changed."""
        return (
            now - self.given_at < question.holds_s
            and question == self.question
            and table.models.get(self.model.id) == self.model
            and table.sources.get(self.source.id) == self.source
        )

    def again(self, now: float) -> Reply:
        """Give it once more."""
        age = b"%d" % (now - self.given_at)
        return Reply(HTTPStatus.OK, self.body, [*self.headers, (b"x-modelbus-cache", b"hit"), (b"age", age)])


class Answers:
    """Keeps answers in the memory of this process."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[bytes, Answer] = {}
        self.size = 0
        """The bytes that are kept."""

    def find(self, question: Question, table: Table) -> Reply | None:
        """Answer what was answered before, if it holds."""
        kept = self._kept.pop(question.key, None)
        if kept is None:
            return None
        now = monotonic()
        if not kept.holds(question, table, now):
            self.size -= kept.size
            return None
        # At the end again: what is at the beginning goes first.
        self._kept[question.key] = kept
        return kept.again(now)

    def keep(self, question: Question, trip: Trip, reply: Reply) -> None:
        """Keep what was answered at the end of the trip, and tell the caller that it was not from here."""
        if reply.status != HTTPStatus.OK or not isinstance(reply.body, bytes) or not trip.attempts:
            return
        offer = trip.attempts[-1].offer
        told = [(name, value) for name, value in reply.headers if name in {b"content-type", b"x-modelbus-source"}]
        reply.headers.append((b"x-modelbus-cache", b"miss"))
        answer = Answer(reply.body, told, question, offer.model, offer.source, monotonic())
        if answer.size * _LARGEST_PART > self._most_bytes:
            return
        if before := self._kept.pop(question.key, None):
            self.size -= before.size
        self._kept[question.key] = answer
        self.size += answer.size
        while self.size > self._most_bytes:
            self.size -= self._kept.pop(next(iter(self._kept))).size
