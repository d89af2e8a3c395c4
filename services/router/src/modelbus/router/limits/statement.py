"""Reads what all routers have spent from the stream of usage, and keeps the sums, so that a restart loses none."""

import asyncio
import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg

from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import Bus
from modelbus.contracts.bus import USAGE
from modelbus.contracts.usage import UsageRecorded
from modelbus.router.limits.budgets import Spending
from modelbus.router.limits.purses import Purse, Purses

_AT_ONCE = {"batch": 256, "max_bytes": 8 * 1024 * 1024}
_ANSWER_S = 5.0
_SAVE_EVERY_S = 60.0
_REMEMBERED = 4096

log = logger(__name__)


class _Attempt(msgspec.Struct, gc=False):
    cost: Decimal | None = None


class _Request(msgspec.Struct, gc=False):
    started_at: datetime
    attempts: list[_Attempt]
    access_key_id: UUID | None = None
    consumer_id: UUID | None = None
    charge: Decimal | None = None


class _Usage(msgspec.Struct, gc=False):
    """As much of `contracts.usage.UsageRecorded` as is summed up here."""

    requests: list[_Request]
    run_id: UUID | None = None


class _Kept(msgspec.Struct):
    """The sums, and up to where the stream is in them."""

    stream: datetime
    """When the stream was made: the numbering of another one is another."""
    read_to: int
    purses: dict[UUID, Purse]
    seen: list[str] = []
    """The batches counted last; a router may tell one again that it told before a restart of this one."""


_read = msgspec.json.Decoder(_Usage).decode


class Statement:
    """Follows the stream without a consumer: it asks for what comes after the last message that it has read."""

    def __init__(self, spending: Spending, bus: Bus, *, run_id: UUID, keep: Path) -> None:
        self._spending = spending
        self._bus = bus
        self._run_id = run_id
        self._keep = keep
        self._stream = datetime.min.replace(tzinfo=UTC)
        self._read_to = 0
        self._saved = self._stream, self._read_to
        self._saved_at = datetime.now(UTC)
        self._seen: dict[str, None] = {}

    def load(self) -> None:
        """Take up what was kept; without it the whole stream is read again."""
        try:
            kept = msgspec.json.decode(self._keep.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.warning("what was kept of spending can't be read", file=str(self._keep), error=str(error))
            return
        self._stream, self._read_to = kept.stream, kept.read_to
        self._saved = kept.stream, kept.read_to
        self._seen = dict.fromkeys(kept.seen)
        self._spending.told = Purses(kept.purses)

    async def catch_up(self) -> None:
        """Read what is new in the stream.

        Raises:
            nats.errors.Error: the bus is away, or has no such stream.
            OSError: the sums can't be saved.
        """
        if not self._bus.is_connected:
            return
        client = await self._bus.connected()
        found = await client.jetstream(timeout=_ANSWER_S).stream_info(USAGE.name)
        if found.created is not None and found.created != self._stream:
            self._stream, self._read_to = found.created, 0
        # A stream that lost its end, as in a power failure, gives those numbers again.
        self._read_to = min(self._read_to, found.state.last_seq)
        if self._read_to and (missed := found.state.first_seq - 1 - self._read_to) > 0:
            log.error("usage left the stream before it was summed up; budgets count too little", messages=missed)
            self._read_to = found.state.first_seq - 1
        while self._read_to < found.state.last_seq:
            if not await self._read_batch(client):
                break
        if (datetime.now(UTC) - self._saved_at).total_seconds() >= _SAVE_EVERY_S:
            await self.save()

    async def save(self) -> None:
        """Keep the sums on disk, if they are others than before.

        Raises:
            OSError: the disk is full or can't be written; what was kept is as it was.
        """
        self._saved_at = datetime.now(UTC)
        if self._saved == (self._stream, self._read_to):
            return
        kept = _Kept(self._stream, self._read_to, self._spending.told.by_holder, list(self._seen))
        body = msgspec.json.encode(kept)
        await asyncio.to_thread(_write, self._keep, body)
        self._saved = kept.stream, kept.read_to

    async def _read_batch(self, client: Client) -> bool:
        """Read some messages; answers whether there were any."""
        inbox = client.new_inbox()
        answers = await client.subscribe(inbox)
        try:
            wanted = {"seq": self._read_to + 1, "next_by_subj": UsageRecorded.type, **_AT_ONCE}
            await client.publish(f"$JS.API.DIRECT.GET.{USAGE.name}", json.dumps(wanted).encode(), reply=inbox)
            count = 0
            # The last answer is empty: it says that there is no more, or that enough was sent.
            while (message := await answers.next_msg(timeout=_ANSWER_S)).data:
                self._count(message)
                count += 1
            return count > 0
        finally:
            await answers.unsubscribe()

    def _count(self, message: Msg) -> None:
        headers = message.headers or {}
        self._read_to = int(headers["Nats-Sequence"])
        if self._is_repeated(headers.get("Nats-Msg-Id", "")):
            return
        try:
            usage = _read(message.data)
        except msgspec.DecodeError as error:
            log.warning("usage can't be read and is not counted", sequence=self._read_to, error=str(error))
            return
        for request in usage.requests:
            self._spending.hear(
                (request.access_key_id, request.consumer_id),
                request.started_at,
                _cost(request) if request.charge is None and usage.run_id is None else request.charge,
                is_noted=usage.run_id == self._run_id,
            )

    def _is_repeated(self, message_id: str) -> bool:
        """Tell whether a router has told the batch before, which it does where it can't know."""
        if not message_id or message_id in self._seen:
            return bool(message_id)
        self._seen[message_id] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return False


def _cost(request: _Request) -> Decimal:
    """Answer what counts for a request of an older router, which told only what it cost us."""
    known = [attempt.cost for attempt in request.attempts if attempt.cost is not None]
    return sum(known, Decimal(0))


def _write(path: Path, body: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
