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

SETTLED_WITHIN_S = 60.0
READ_AT_ONCE = 200

type Fetch = Callable[[str], Awaitable[Sequence[Any]]]
"""Answers the rows of a query, from the database of the services."""


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


async def check_told(reading: Reading, context: JetStreamContext, fetch: Fetch, *, is_restored: bool) -> None:
    """Compare a stream with the outbox of its teller: each event in its order, once, without a gap.

    The stream knows what a restored database has forgotten: then what the present epoch has told is compared. What was
    committed before the relay had noticed is not told.

    Raises:
        AssertionError: they differ.
    """
    teller = reading.stream.teller
    committed = [
        Told(*row) for row in await fetch(f"SELECT epoch, revision, id FROM {teller}.outbox ORDER BY revision")
    ]
    [(epoch,)] = await fetch(f"SELECT epoch FROM {teller}.{teller}_head")

    def comparable(events: list[Told]) -> list[Told]:
        return [each for each in events if not is_restored or each.epoch == epoch]

    committed = comparable(committed)
    last = committed[-1].revision if committed else 0

    async def is_told() -> bool:
        await reading.go_on(context)
        told = reading.told()
        return not committed or (bool(told) and told[-1].revision >= last)

    await eventually(is_told, within_s=SETTLED_WITHIN_S)
    told = [each for each in comparable(reading.told()) if each.revision <= last]
    assert told == committed, teller
    for one, next_one in pairwise(told):
        assert next_one.revision == one.revision + 1 or next_one.epoch != one.epoch, (teller, one, next_one)
        assert next_one.revision > one.revision, (teller, one, next_one)
