"""The ledger: requests that ended go from memory to the spool, and from the spool to the bus, in batches."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import PUBLISH_TIMEOUT_S, Bus
from modelbus.contracts.bus import USAGE
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.usage import UsageRecorded
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.ledger.packing import Batch
from modelbus.router.ledger.spool import Spool
from modelbus.router.ledger.tally import Tally

_BATCH_ENTRIES = 256
# Half of what NATS takes as one message.
_BATCH_BYTES = 512 * 1024
_MOST_WAITING = 50_000
_PUBLISHED_AT_ONCE = 16

log = logger(__name__)


class Ledger:
    """Takes entries without waiting; `write` and `publish` are done again and again beside the requests."""

    def __init__(self, spool: Spool, bus: Bus, *, router_id: str, run_id: UUID) -> None:
        self._spool = spool
        self._bus = bus
        self._router_id = router_id
        self._run_id = run_id
        self._waiting: list[RequestEntry] = []
        self._writing = asyncio.Lock()
        self.tally = Tally()
        self.lost = 0
        """Entries that were dropped because the disk took none for too long."""

    @property
    def unwritten(self) -> int:
        """Answer how many entries are not on disk yet."""
        return len(self._waiting)

    def record(self, entry: RequestEntry) -> None:
        """Take an entry; it is on disk after the next `write`."""
        self.tally.note(entry)
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(entry)
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
        if not self._bus.is_connected:
            return
        context = (await self._bus.connected()).jetstream(timeout=PUBLISH_TIMEOUT_S)
        while spooled := await asyncio.to_thread(self._spool.oldest, _PUBLISHED_AT_ONCE):
            answers = await asyncio.gather(
                *(
                    context.publish(
                        UsageRecorded.type, each.batch.body, stream=USAGE.name, headers=_envelope(each.batch).headers()
                    )
                    for each in spooled
                ),
                return_exceptions=True,
            )
            # All of them or none: what the stream has already is recognised there by its message id.
            for answer in answers:
                if isinstance(answer, BaseException):
                    raise answer
            await asyncio.to_thread(self._spool.trim, spooled[-1])

    async def _write(self) -> None:
        async with self._writing:
            taken = len(self._waiting)
            if not taken:
                return
            batches = list(self._batches(self._waiting[:taken]))
            await asyncio.to_thread(self._spool.append, batches)
            del self._waiting[:taken]

    def _batches(self, entries: list[RequestEntry]) -> Iterator[Batch]:
        texts: list[bytes] = []
        size = 0
        for entry in entries:
            text = msgspec.json.encode(entry)
            if texts and (len(texts) == _BATCH_ENTRIES or size + len(text) > _BATCH_BYTES):
                yield self._batch(texts)
                texts, size = [], 0
            texts.append(text)
            size += len(text)
        yield self._batch(texts)

    def _batch(self, texts: list[bytes]) -> Batch:
        body = b'{"router_id":%b,"run_id":"%b","requests":[%b]}' % (
            msgspec.json.encode(self._router_id),
            str(self._run_id).encode(),
            b",".join(texts),
        )
        return Batch(new_id(), datetime.now(UTC), body)


def _envelope(batch: Batch) -> Envelope:
    return Envelope(
        id=batch.id,
        type=UsageRecorded.type,
        source="/modelbus/router",
        time=batch.time,
        data=b"",
        data_schema=f"/schemas/{UsageRecorded.type}/{UsageRecorded.version}.json",
    )
