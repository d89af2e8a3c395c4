"""Reads what all routers have spent from the stream of usage, and keeps the sums, so that a restart loses none."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from uuid import UUID

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import Bus
from modelbus.chassis.whole_files import write_whole
from modelbus.contracts.bus import USAGE
from modelbus.contracts.usage import UsageRecorded
from modelbus.router.ledger.looking import Looking
from modelbus.router.limits.budgets import Spending
from modelbus.router.limits.charges import Charged, read_charged
from modelbus.router.limits.counted import Counted
from modelbus.router.limits.kept import Kept, read_kept
from modelbus.router.limits.purses import Purses
from modelbus.router.limits.waiting import Waiting

_AT_ONCE = {"batch": 256, "max_bytes": 8 * 1024 * 1024}
_ANSWER_S = 5.0
_SAVE_EVERY_S = 60.0

log = logger(__name__)


class Statement:
    """Follows the stream without a consumer: it asks for what comes after the last message that it has read.

    Whoever reads gets all usage of all routers, so it is read only while `is_wanted` says that anybody has a budget.
    """

    def __init__(
        self,
        spending: Spending,
        bus: Bus,
        waiting: Waiting,
        *,
        run_id: UUID,
        keep: Path,
        is_wanted: Callable[[], bool],
    ) -> None:
        self._spending = spending
        self._bus = bus
        self._waiting = waiting
        self._run_id = run_id
        self._keep = keep
        self._is_wanted = is_wanted
        self._stream = datetime.min.replace(tzinfo=UTC)
        self._read_to = 0
        self._missed = 0
        self._looking = Looking(bus)
        self._saved = self._stream, self._read_to
        self._saved_at = monotonic()
        self._counted = Counted()

    def load(self) -> None:
        """Take up what was kept; without it the whole stream is read again."""
        kept = read_kept(self._keep)
        if kept is not None:
            self._stream, self._read_to = self._saved = kept.stream, kept.read_to
            self._counted = Counted(kept.runs)
            self._spending.told = Purses(kept.purses)

    async def catch_up(self) -> None:
        """Read what is new in the stream.

        Raises:
            nats.errors.Error: the bus is away, or has no such stream.
            OSError: the sums can't be saved.
        """
        if not self._is_wanted():
            return
        await self._waiting.sum_up(self._spending, self._counted)
        if not self._bus.is_connected:
            return
        client = await self._bus.connected()
        if self._looking.is_due():
            with self._looking.look():
                await self._find_stream(client)
        while await self._read_batch(client):
            pass
        if monotonic() - self._saved_at >= _SAVE_EVERY_S:
            await self.save()

    async def save(self) -> None:
        """Keep the sums on disk, if they are others than before.

        Raises:
            OSError: the disk is full or can't be written; what was kept is as it was.
        """
        self._saved_at = monotonic()
        if self._saved == (self._stream, self._read_to):
            return
        kept = Kept(self._stream, self._read_to, self._spending.told.by_holder, self._counted.runs)
        await asyncio.to_thread(write_whole, self._keep, msgspec.json.encode(kept))
        self._saved = kept.stream, kept.read_to

    async def _find_stream(self, client: Client) -> None:
        """Ask whether the stream is the one that was read."""
        found = await client.jetstream(timeout=_ANSWER_S).stream_info(USAGE.name)
        if found.created is not None and found.created != self._stream:
            self._stream, self._read_to = found.created, 0
        # A stream that lost its end, as in a power failure, gives those numbers again.
        self._read_to = min(self._read_to, found.state.last_seq)

    async def _read_batch(self, client: Client) -> bool:
        """Read some messages; answers whether there are more."""
        inbox, before = client.new_inbox(), self._read_to
        answers = await client.subscribe(inbox)
        try:
            wanted = {"seq": self._read_to + 1, "next_by_subj": UsageRecorded.type, **_AT_ONCE}
            await client.publish(f"$JS.API.DIRECT.GET.{USAGE.name}", json.dumps(wanted).encode(), reply=inbox)
            # The last answer is empty: it says that there is no more, or that enough was sent.
            while (message := await answers.next_msg(timeout=_ANSWER_S)).data:
                self._count(message)
            return self._read_to > before and int((message.headers or {}).get("Nats-Num-Pending", 0)) > 0
        finally:
            await answers.unsubscribe()
            self._tell_missed()

    def _count(self, message: Msg) -> None:
        headers = message.headers or {}
        sequence = int(headers["Nats-Sequence"])
        if self._read_to:
            self._missed += sequence - self._read_to - 1
        self._read_to = sequence
        try:
            charged = read_charged(message.data)
        except msgspec.DecodeError as error:
            log.warning("usage can't be read and is not counted", sequence=sequence, error=str(error))
            return
        batch_id = headers.get("Nats-Msg-Id", "")
        if batch_id:
            if self._counted.has(charged.run_id, batch_id):
                return
            self._counted.add(charged.run_id, batch_id, datetime.fromisoformat(headers["Nats-Time-Stamp"]))
        self._hear(charged, batch_id)

    def _hear(self, charged: Charged, batch_id: str) -> None:
        is_noted = charged.run_id == self._run_id or self._waiting.comes(batch_id)
        for charge in charged.charges():
            self._spending.hear(charge.payers, charge.at, charge.amount, is_noted=is_noted)

    def _tell_missed(self) -> None:
        if self._missed:
            log.error("usage left the stream before it was summed up; budgets count too little", messages=self._missed)
            self._missed = 0
