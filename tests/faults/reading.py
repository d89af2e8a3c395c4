"""What a stream holds, read from its beginning to its end and then only what is new; and whether it is its outbox."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched, pairwise
from typing import Any, NamedTuple
from uuid import UUID

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg

from modelbus.contracts.bus import Stream
from running import eventually

SETTLED_WITHIN_S = 120.0
READ_AT_ONCE = 200

type Fetch = Callable[[str], Awaitable[Sequence[Any]]]
"""Answers the rows of a query, from the database of the services."""


class Forgotten(NamedTuple):
    """What a database that was put back to an earlier state does not know: what was committed in that time."""

    since: datetime
    until: datetime


class Told(NamedTuple):
    """A numbered event, as its stream or its outbox has it."""

    epoch: UUID
    revision: int
    event_id: UUID


@dataclass
class Reading:
    """How far a stream was read."""

    stream: Stream
    created: datetime | None = None
    """Of the stream that was read; one that is created anew has lost all that it held."""
    messages: list[RawStreamMsg] = field(default_factory=list)
    _sequence: int = 0

    async def go_on(self, context: JetStreamContext) -> None:
        """Read what is new; a stream that is another one is read from its beginning.

        Raises:
            OSError: NATS does not answer just now.
        """
        try:
            await self._go_on(context)
        except nats.errors.Error as error:
            raise OSError(repr(error)) from error

    async def _go_on(self, context: JetStreamContext) -> None:
        found = await context.stream_info(self.stream.name)
        if found.created != self.created:
            self.created, self._sequence, self.messages = found.created, 0, []
        numbers = range(max(self._sequence + 1, found.state.first_seq), found.state.last_seq + 1)
        for some in batched(numbers, READ_AT_ONCE):
            self.messages += await asyncio.gather(*(context.get_msg(self.stream.name, seq=each) for each in some))
            self._sequence = some[-1]

    def told(self) -> list[Told]:
        """Answer the events that an outbox has numbered; one that nobody can read comes from none."""
        found = []
        for message in self.messages:
            headers = message.headers or {}
            if "ce-revision" in headers:
                found.append(Told(UUID(headers["ce-epoch"]), int(headers["ce-revision"]), UUID(headers["ce-id"])))
                assert headers["Nats-Msg-Id"] == headers["ce-id"]
        return found


async def check_told(
    reading: Reading, context: JetStreamContext, fetch: Fetch, *, forgotten: Forgotten | None = None
) -> None:
    """Compare a stream with the outbox of its teller: from the first revision to the head, in order, each event once.

    Nothing here is old enough to be trimmed from an outbox. Only what a restored database has forgotten may be on the
    stream alone, and the database goes on behind it in an epoch of its own.

    Raises:
        AssertionError: they differ.
    """
    teller = reading.stream.teller
    epoch, head, committed = await _committed(teller, fetch)
    for one, next_one in pairwise(committed):
        is_parted = bool(forgotten) and next_one.epoch != one.epoch
        assert next_one.revision == one.revision + 1 or is_parted, (teller, one, next_one)
    assert not committed or committed[0].revision == 1, (teller, committed[0])
    last, last_epoch = (committed[-1].revision, committed[-1].epoch) if committed else (0, epoch)
    assert last == head or (forgotten and last_epoch != epoch), (teller, last, head)

    async def is_told() -> bool:
        await reading.go_on(context)
        told = reading.told()
        return not committed or (bool(told) and told[-1].revision >= last)

    await eventually(is_told, within_s=SETTLED_WITHIN_S)
    for one, next_one in pairwise(reading.told()):
        assert next_one.revision > one.revision, (teller, one, next_one)
    told, known = [each for each in reading.told() if each.revision <= head], set(committed)
    assert [each for each in told if each in known] == committed, teller
    unknown = [each for each in told if each not in known]
    assert not unknown or (forgotten and all(each.epoch != epoch for each in unknown)), (teller, unknown)


async def _committed(teller: str, fetch: Fetch) -> tuple[UUID, int, list[Told]]:
    """Answer epoch and revision of the head, and what the outbox holds at that moment."""
    rows = await fetch(
        f"SELECT head.epoch, version, outbox.epoch, revision, id FROM {teller}.{teller}_head AS head"
        f" LEFT JOIN {teller}.outbox ON true ORDER BY revision"
    )
    [(epoch, head), *_] = [row[:2] for row in rows]
    return epoch, head, [Told(*row[2:]) for row in rows if row[3] is not None]
