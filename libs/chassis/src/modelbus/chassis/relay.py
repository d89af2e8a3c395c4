"""The relay tells what the outbox holds: one leader, in order, each event exactly once on the stream.

The stream's last message is the cursor, so nothing about progress is stored twice. Each publish names the sequence
it expects to follow (`Nats-Expected-Last-Sequence`): a leader that was paused and overtaken is refused. The event's
id is the message id, the second net against doubles.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import sqlalchemy as sa
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import NotFoundError

from modelbus.chassis.database import CONNECT_TIMEOUT_S, Database
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import is_outage, pause_s
from modelbus.chassis.messaging import PUBLISH_TIMEOUT_S, Bus
from modelbus.chassis.outbox import Outbox, record
from modelbus.contracts.bus import HEADER_EPOCH, HEADER_REVISION, Stream
from modelbus.contracts.catalog import CatalogReset
from modelbus.contracts.envelope import Envelope

BATCH = 500
POLL_S = 1.0

log = logger(__name__)


class FencedError(Exception):
    """Another leader has published; our cursor is out of date."""


@dataclass(slots=True)
class Cursor:
    """Where the stream stands."""

    sequence: int
    epoch: UUID | None
    revision: int


class Relay:
    """Publishes one outbox to one stream; every replica runs one, the one that holds the lock leads."""

    def __init__(self, database: Database, outbox: Outbox, bus: Bus, stream: Stream) -> None:
        self._database = database
        self._outbox = outbox
        self._bus = bus
        self._stream = stream
        self._wake = asyncio.Event()
        self.is_leader = False
        self.relayed = 0
        """Revision of the newest event that the stream is known to hold."""

    async def run(self) -> None:
        """Lead whenever the lock is free, for ever; outages are waited out."""
        failures = 0
        while True:
            try:
                await self._lead()
            except FencedError as error:
                log.warning(
                    "relay was overtaken and reads its cursor anew",
                    stream=self._stream.name,
                    error=str(error),
                )
            except Exception as error:
                if not is_outage(error) and not isinstance(error, NotFoundError):
                    raise
                failures += 1
                log.warning("relay is interrupted", stream=self._stream.name, error=repr(error))
                await asyncio.sleep(pause_s(failures))
            else:
                failures = 0
            finally:
                self.is_leader = False

    async def _lead(self) -> None:
        client = await self._bus.connected()
        context = client.jetstream(timeout=PUBLISH_TIMEOUT_S, publish_async_max_pending=2 * BATCH)
        connection = await asyncpg.connect(self._database.dsn, timeout=CONNECT_TIMEOUT_S, command_timeout=30)
        try:
            await self._become_leader(connection)
            cursor = await self._find_cursor(context)
            cursor = await self._reconcile(cursor)
            self.relayed = cursor.revision
            while True:
                self._wake.clear()
                rows = await self._next_rows(connection, cursor.revision)
                if rows:
                    await self._publish(context, rows, cursor)
                else:
                    await self._wait()
        finally:
            # A connection that is gone can't be closed politely; terminate() needs no answer.
            connection.terminate()

    async def _become_leader(self, connection: "asyncpg.Connection[Any]") -> None:
        lock = f"SELECT pg_try_advisory_lock(hashtext('{self._outbox.schema}.relay'))"
        while not await connection.fetchval(lock):  # noqa: ASYNC110 - the lock is another process's to free
            await asyncio.sleep(POLL_S)
        await connection.add_listener(self._outbox.channel, lambda *_: self._wake.set())
        self.is_leader = True
        log.info("relay leads", stream=self._stream.name)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        except TimeoutError:
            pass  # A lost notification costs one poll, no more.

    async def _find_cursor(self, context: JetStreamContext) -> Cursor:
        info = await context.stream_info(self._stream.name)
        sequence = info.state.last_seq
        if info.state.messages == 0:
            return Cursor(sequence=sequence, epoch=None, revision=0)
        headers = (await context.get_msg(self._stream.name, seq=sequence)).headers or {}
        return Cursor(sequence=sequence, epoch=UUID(headers[HEADER_EPOCH]), revision=int(headers[HEADER_REVISION]))

    async def _reconcile(self, cursor: Cursor) -> Cursor:
        """Start a new epoch where the truth and the stream do not continue one another.

        That is when the database was restored to an earlier state, or the stream was lost together with events
        that the outbox no longer holds. An empty stream with a whole outbox is simply told again.
        """
        async with self._database.reading() as session:
            head = await self._outbox.read_head(session)
            oldest = await session.scalar(sa.select(sa.func.min(self._outbox.rows.c.revision)))
        same_epoch = cursor.epoch in {None, head.epoch}
        truth_went_back = same_epoch and cursor.revision > head.revision
        events_are_lost = cursor.revision + 1 < (oldest or head.revision + 1)
        if cursor.epoch is not None and not same_epoch:
            # The new epoch was begun, but its first events did not reach the stream yet.
            async with self._database.reading() as session:
                rows = self._outbox.rows
                first = await session.scalar(sa.select(sa.func.min(rows.c.revision)).where(rows.c.epoch == head.epoch))
            return Cursor(cursor.sequence, head.epoch, (first or head.revision + 1) - 1)
        if truth_went_back or events_are_lost:
            return await self._begin_epoch(cursor, head.revision)
        return cursor

    async def _begin_epoch(self, cursor: Cursor, head_revision: int) -> Cursor:
        epoch, base = uuid4(), max(cursor.revision, head_revision)
        log.warning("a new epoch begins", stream=self._stream.name, epoch=str(epoch), after_revision=base)
        async with self._database.transaction() as session:
            # Revisions stay monotonic across epochs, so no hearer's comparison ever goes backwards.
            await session.execute(sa.update(self._outbox.head).values(epoch=epoch, version=base))
            if CatalogReset in self._stream.events:
                await record(session, CatalogReset(epoch=epoch))
        return Cursor(cursor.sequence, epoch, base)

    async def _next_rows(self, connection: "asyncpg.Connection[Any]", after: int) -> list[asyncpg.Record]:
        query = f"""SELECT revision, epoch, id, type, subject, schema_version, body, correlation_id, trace_parent,
                           recorded_at
                    FROM "{self._outbox.schema}".outbox WHERE revision > $1 ORDER BY revision LIMIT {BATCH}"""  # noqa: S608 - names of our own
        rows: list[asyncpg.Record] = await connection.fetch(query, after)
        return rows

    async def _publish(self, context: JetStreamContext, rows: list[asyncpg.Record], cursor: Cursor) -> None:
        promised = []
        for offset, row in enumerate(rows):
            headers = self._envelope(row).headers()
            headers[Header.EXPECTED_LAST_SEQUENCE] = str(cursor.sequence + offset)
            promised.append(
                await context.publish_async(
                    row["type"], row["body"].encode(), wait_stall=PUBLISH_TIMEOUT_S, stream=self._stream.name,
                    headers=headers,
                )
            )  # fmt: skip
        async with asyncio.timeout(PUBLISH_TIMEOUT_S):
            answers = await asyncio.gather(*promised, return_exceptions=True)
        for answer, row in zip(answers, rows, strict=True):
            if isinstance(answer, BaseException):
                raise FencedError(f"{self._stream.name} refused revision {row['revision']}: {answer!r}") from answer
            cursor.sequence, cursor.revision, cursor.epoch = answer.seq, row["revision"], row["epoch"]
            self.relayed = cursor.revision

    def _envelope(self, row: asyncpg.Record) -> Envelope:
        return Envelope(
            id=row["id"],
            type=row["type"],
            source=self._outbox.source,
            time=row["recorded_at"],
            data=b"",
            subject=row["subject"],
            data_schema=f"/schemas/{row['type']}/{row['schema_version']}.json",
            revision=row["revision"],
            epoch=row["epoch"],
            correlation_id=row["correlation_id"],
            trace_parent=row["trace_parent"],
        )
