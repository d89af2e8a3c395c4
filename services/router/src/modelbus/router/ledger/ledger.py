"""The ledger: requests that ended go from the journal to the spool, and from the spool to the bus, in batches."""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path
from time import monotonic
from uuid import UUID

import msgspec
from nats.js import JetStreamContext

from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import PUBLISH_TIMEOUT_S, Bus
from modelbus.contracts.bus import USAGE
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.usage import UsageRecorded
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.ledger.journal import Journal, left_in
from modelbus.router.ledger.looking import Looking
from modelbus.router.ledger.packing import Batch
from modelbus.router.ledger.spool import Spool
from modelbus.router.ledger.tally import Tally
from modelbus.router.ledger.told import Told

_BATCH_ENTRIES = 256
# Half of what NATS takes as one message.
_BATCH_BYTES = 512 * 1024
_MOST_WAITING = 50_000
_PUBLISHED_AT_ONCE = 16

log = logger(__name__)


class _Known(msgspec.Struct):
    id: UUID


class _KnownBatch(msgspec.Struct):
    requests: list[_Known]


class Ledger:
    """Takes entries without waiting; `write` and `publish` are done again and again beside the requests."""

    def __init__(self, spool: Spool, bus: Bus, *, router_id: str, run_id: UUID) -> None:
        self._spool = spool
        self._bus = bus
        self._router_id = router_id
        self._run_id = run_id
        self._journal: Journal | None = None
        self._has_told_why_none = False
        self._found: set[UUID] | None = None
        """The requests that an earlier process had spooled last; None until the spool was read."""
        self._told = Told()
        self._looking = Looking(bus)
        self._waiting: list[bytes] = []
        self._writing = asyncio.Lock()
        self.tally = Tally()
        self._problem: str | None = None
        """Why the disk took nothing the last time."""
        self.lost = 0
        """Entries that were dropped because the disk took none for too long."""

    @property
    def unwritten(self) -> int:
        """Answer how many entries are not on disk yet."""
        return len(self._waiting)

    @property
    def dropped_bytes(self) -> int:
        """Answer how much of what was on disk had to go for newer, the bus being away for too long."""
        return self._spool.dropped_bytes

    async def waits(self) -> str | None:
        """Answer why usage waits in memory, where a crash would lose it; None when the disk takes it."""
        return self._problem

    async def loses(self) -> str | None:
        """Answer why usage is lost now; None when it is not."""
        return self._problem if len(self._waiting) >= _MOST_WAITING else None

    def record(self, entry: RequestEntry) -> None:
        """Take an entry. A process that is killed loses it no more; it is on disk after the next `write`."""
        self.tally.note(entry)
        if len(self._waiting) < _MOST_WAITING:
            text = msgspec.json.encode(entry)
            self._waiting.append(text)
            if self._journal is not None:
                self._journal.note(text)
            return
        if not self.lost:
            log.error("usage is lost, the spool can't be written")
        self.lost += 1

    async def write(self) -> None:
        """Put what waits on disk.

        Raises:
            OSError: the disk does not take it; it is kept and written next time.
        """
        # Cancelling stops no thread: what is being written is written, and whoever writes next waits for that.
        await asyncio.shield(self._write())

    async def publish(self) -> None:
        """Publish what is on disk, and trim it once the stream has it.

        Raises:
            nats.errors.Error: the bus is away or has no such stream; nothing is trimmed.
        """
        # What is trimmed before it was read can't be told from what a process that was killed left in its journal.
        if self._found is None or not self._bus.is_connected:
            return
        context = (await self._bus.connected()).jetstream(timeout=PUBLISH_TIMEOUT_S)
        spooled = await asyncio.to_thread(self._spool.oldest, _PUBLISHED_AT_ONCE)
        if (spooled or self._told) and self._looking.is_due():
            with self._looking.look():
                await self._publish_again(context)
        while spooled:
            await _tell(context, [each.batch for each in spooled])
            self._told.keep((each.line for each in spooled), monotonic())
            await asyncio.to_thread(self._spool.trim, spooled[-1])
            spooled = await asyncio.to_thread(self._spool.oldest, _PUBLISHED_AT_ONCE)
        self._told.keep((), monotonic())

    async def _publish_again(self, context: JetStreamContext) -> None:
        """Tell a stream that was made since what the one before it was told of late, and may have lost unheard."""
        stream = (await context.stream_info(USAGE.name)).created
        count = 0
        for batches in batched(self._told.lost_by(stream), _PUBLISHED_AT_ONCE):
            await _tell(context, batches)
            count += len(batches)
        if count:
            log.warning("the bus has lost its usage, the last of it is told again", batches=count)
        self._told.is_told_to(stream)

    async def _write(self) -> None:
        async with self._writing:
            if self._journal is None:
                await self._begin_journal()
            taken = len(self._waiting)
            if not taken:
                return
            batches = list(self._batches(self._waiting[:taken], self._run_id))
            try:
                await asyncio.to_thread(self._keep, batches)
            except OSError as error:
                self._problem = f"usage can't be written to disk: {error}"
                raise
            self._problem = None
            del self._waiting[:taken]
            if self._journal is not None:
                self._journal.keep(self._waiting)

    async def _begin_journal(self) -> None:
        try:
            self._journal = await asyncio.to_thread(self._take_over, self._spool.directory / "journal")
        except OSError as error:
            if not self._has_told_why_none:
                log.warning("there is no journal of usage; a crash would lose a second of it", error=str(error))
            self._has_told_why_none = True
            return
        self._journal.keep(self._waiting)

    def _take_over(self, path: Path) -> Journal:
        """Put what a process that was killed left in the journal into the spool, but for what it had put there."""
        self._spool.open()
        if self._found is None:
            self._found = {each.id for batch in self._spool.inherited() for each in _requests_of(batch)}
        if left := left_in(path):
            run_id, texts = left
            lost = {known: text for text in texts if (known := _id_of(text)) not in self._found}
            if lost:
                self._spool.append(self._batches(list(lost.values()), run_id))
                # Where no journal can be made the old one is found again, and the spool may have been told by then.
                self._found.update(lost)
            log.info("usage of a process that was killed is told", requests=len(lost), its_run=str(run_id))
        journal = Journal(path, self._run_id)
        self._found.clear()
        return journal

    def _keep(self, batches: list[Batch]) -> None:
        # A directory that could not be written at the start is taken when it can.
        self._spool.open()
        self._spool.append(batches)

    def _batches(self, entries: list[bytes], run_id: UUID) -> Iterator[Batch]:
        texts: list[bytes] = []
        size = 0
        for text in entries:
            if texts and (len(texts) == _BATCH_ENTRIES or size + len(text) > _BATCH_BYTES):
                yield self._batch(texts, run_id)
                texts, size = [], 0
            texts.append(text)
            size += len(text)
        yield self._batch(texts, run_id)

    def _batch(self, texts: list[bytes], run_id: UUID) -> Batch:
        body = b'{"router_id":%b,"run_id":"%b","requests":[%b]}' % (
            msgspec.json.encode(self._router_id),
            str(run_id).encode(),
            b",".join(texts),
        )
        return Batch(new_id(), datetime.now(UTC), body)


async def _tell(context: JetStreamContext, batches: Sequence[Batch]) -> None:
    answers = await asyncio.gather(
        *(
            context.publish(UsageRecorded.type, each.body, stream=USAGE.name, headers=_envelope(each).headers())
            for each in batches
        ),
        return_exceptions=True,
    )
    # All of them or none: what the stream has already is recognised there by its message id.
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


def _envelope(batch: Batch) -> Envelope:
    return Envelope(
        id=batch.id,
        type=UsageRecorded.type,
        source="/modelbus/router",
        time=batch.time,
        data=b"",
        data_schema=f"/schemas/{UsageRecorded.type}/{UsageRecorded.version}.json",
    )


def _id_of(text: bytes) -> UUID:
    return msgspec.json.decode(text, type=_Known).id


def _requests_of(batch: Batch) -> list[_Known]:
    return msgspec.json.decode(batch.body, type=_KnownBatch).requests
