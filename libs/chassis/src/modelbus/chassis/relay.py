"""The relay tells what the outbox holds: one leader, in order, each event exactly once on the stream.

The stream's last message is the cursor, so nothing about progress is stored twice. Each publish names the sequence
it expects to follow (`Nats-Expected-Last-Sequence`), and within a batch the event too (`Nats-Expected-Last-Msg-Id`):
a leader that was paused and overtaken is refused. The event's id is the message id, the second net against doubles.
"""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import nats.errors
import sqlalchemy as sa
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import APIError

from modelbus.chassis.database import CONNECT_TIMEOUT_S, Database
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import pause_s
from modelbus.chassis.messaging import PUBLISH_TIMEOUT_S, Bus
from modelbus.chassis.outages import is_outage
from modelbus.chassis.outbox import Outbox, record
from modelbus.chassis.parting import envelope_at, last_shared
from modelbus.contracts.bus import Stream
from modelbus.contracts.catalog import CatalogReset
from modelbus.contracts.envelope import Envelope

BATCH = 500
TRIES_BEFORE_PROBLEM = 3
"""One may lose a race, and be right the next time."""
POLL_S = 1.0
ANSWER_S = 10.0
SILENCE_MS = 3000
"""A leader asks every second. One that is frozen, or out of reach, keeps its connection, and with it the lock, until
PostgreSQL ends the session after so long; it finds out when it asks again. Routers must know within five seconds."""

log = logger(__name__)


class StreamMovedError(Exception):
    """The stream is not where we left it: somebody else has published, or it was lost."""


class UnacknowledgedError(TimeoutError):
    """NATS answers, and does not say of an event that it has it: it keeps silent of one that it could not write."""

    def __init__(self) -> None:
        super().__init__("NATS acknowledges none, as when its disk is full or only reads: its log says why")


@dataclass(slots=True)
class Cursor:
    """Where the stream stands."""

    sequence: int
    event_id: UUID | None
    """The newest event of ours on the stream; None where there is none."""
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
        self._failures = 0
        self._refusals = 0
        """How often telling has failed since something was told."""
        self._refusal = ""
        """Why it did, the last time."""
        self.is_leader = False
        self.relayed = 0
        """Revision of the newest event that the stream is known to hold."""

    async def run(self) -> None:
        """Lead whenever the lock is free, for ever; outages are waited out."""
        while True:
            try:
                await self._lead()
            except Exception as error:
                if not isinstance(error, StreamMovedError) and not is_outage(error):
                    raise
                self._failures += 1
                self._refusals += 1
                self._refusal = str(error) or type(error).__name__
                log.warning("relay is interrupted", stream=self._stream.name, error=repr(error))
                await asyncio.sleep(pause_s(self._failures))
            finally:
                self.is_leader = False

    async def problem(self) -> str | None:
        """Answer why events can't be told, though it was tried again; None when they can, or another one leads."""
        if self._refusals < TRIES_BEFORE_PROBLEM:
            return None
        return f"the stream {self._stream.name} takes no events: {self._refusal}"

    @property
    def is_refused(self) -> bool:
        """Tell whether it is up to us to tell events, and the last try has failed."""
        return self._refusals > 0

    async def _lead(self) -> None:
        client = await self._bus.connected()
        context = client.jetstream(timeout=PUBLISH_TIMEOUT_S)
        connection = await asyncpg.connect(
            self._database.dsn,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=ANSWER_S,
            server_settings={"idle_session_timeout": str(SILENCE_MS)},
        )
        try:
            await self._become_leader(connection)
            cursor = await self._reconcile(context, await self._find_cursor(context))
            self.relayed, self._failures = cursor.revision, 0
            while True:
                self._wake.clear()
                rows = await self._next_rows(connection, cursor.revision)
                if rows:
                    await self._publish(context, rows, cursor)
                else:
                    await self._wait(context, cursor)
        finally:
            # A connection that is gone can't be closed politely; terminate() needs no answer.
            connection.terminate()

    async def _become_leader(self, connection: "asyncpg.Connection[Any]") -> None:
        lock = f"SELECT pg_try_advisory_lock(hashtext('{self._outbox.schema}.relay'))"
        while not await connection.fetchval(lock):
            self._refusals = 0
            await asyncio.sleep(POLL_S)
        await connection.add_listener(self._outbox.channel, lambda *_: self._wake.set())
        self.is_leader = True
        log.info("relay leads", stream=self._stream.name)

    async def _wait(self, context: JetStreamContext, cursor: Cursor) -> None:
        """Wait for a notification; a lost one costs one poll, which also finds a stream that was lost meanwhile."""
        try:
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()
        except TimeoutError:
            state = (await context.stream_info(self._stream.name)).state
            if state.last_seq != cursor.sequence:
                raise StreamMovedError(f"ends at {state.last_seq}, expected {cursor.sequence}") from None
            self._refusals = 0

    async def _find_cursor(self, context: JetStreamContext) -> Cursor:
        """Find the newest event of ours; what somebody else has put behind it is passed over, and said."""
        state = (await context.stream_info(self._stream.name)).state
        for sequence in range(state.last_seq, state.first_seq - 1 if state.messages else state.last_seq, -1):
            envelope = await envelope_at(context, self._stream.name, sequence, self._outbox.source)
            if envelope is not None:
                return Cursor(state.last_seq, envelope.id, envelope.epoch, envelope.revision or 0)
            log.error("a message that is not ours is on our stream", stream=self._stream.name, sequence=sequence)
        return Cursor(state.last_seq, None, None, 0)

    async def _reconcile(self, context: JetStreamContext, cursor: Cursor) -> Cursor:
        """Begin a new epoch where the truth and the stream do not continue one another.

        That is when the database was restored to an earlier state, or the stream was lost together with events
        that the outbox no longer holds. An empty stream with a whole outbox is simply told again.

        What a restored database recorded before we looked is put behind the reset: nobody has heard of it.

        After a loss what the outbox does hold is told, and the reset behind it: it may be heard for the first time,
        and who hears it again does it once. The order of revisions stays as it is, so nobody takes older for newer.
        """
        rows = self._outbox.rows.c
        async with self._database.reading() as session:
            head = await self._outbox.read_head(session)
            first = await session.scalar(sa.select(sa.func.min(rows.revision)))
            first_of_epoch = await session.scalar(sa.select(sa.func.min(rows.revision)).where(rows.epoch == head.epoch))
            told = await session.scalar(sa.select(rows.id).where(rows.revision == cursor.revision))
        is_whole = (first or head.revision + 1) == 1
        if is_whole if cursor.event_id is None else told == cursor.event_id:
            return cursor
        if told is None and cursor.epoch == head.epoch and first == cursor.revision + 1:
            return cursor  # The newest that was told was trimmed since, and nothing between it and what follows.
        if told is None and first is not None and first > cursor.revision:
            # A reset that waits among what is held follows all that is lost; another one would say nothing more.
            is_reset_held = first_of_epoch is not None and first_of_epoch > first
            begun = cursor if is_reset_held else await self._begin_epoch(cursor)
            return Cursor(cursor.sequence, cursor.event_id, begun.epoch, first - 1)
        if cursor.epoch != head.epoch and first_of_epoch is not None and first_of_epoch > cursor.revision:
            # The new epoch was begun, but its first events did not reach the stream.
            return Cursor(cursor.sequence, cursor.event_id, head.epoch, first_of_epoch - 1)
        shared = await last_shared(context, self._stream.name, self._database, self._outbox)
        return await self._begin_epoch(cursor, shared)

    async def _begin_epoch(self, cursor: Cursor, shared: int | None = None) -> Cursor:
        """Begin an epoch beyond all that was told; what was recorded after the shared revision is told in it."""
        async with self._database.transaction() as session:
            head = await self._outbox.begin_epoch(session, beyond=cursor.revision)
            if CatalogReset in self._stream.events:
                await record(session, CatalogReset(epoch=head.epoch))
                await self._outbox.flush(session)
            again = 0 if shared is None else await self._outbox.renumber(session, after=shared)
        about = {"stream": self._stream.name, "epoch": str(head.epoch), "after_revision": head.revision}
        log.warning("a new epoch begins", **about, renumbered=again)
        return Cursor(cursor.sequence, cursor.event_id, head.epoch, head.revision)

    async def _next_rows(self, connection: "asyncpg.Connection[Any]", after: int) -> list[asyncpg.Record]:
        query = f"""SELECT revision, epoch, id, type, subject, schema_version, body, correlation_id, trace_parent,
                           recorded_at
                    FROM "{self._outbox.schema}".outbox WHERE revision > $1 ORDER BY revision LIMIT {BATCH}"""  # noqa: S608 - names of our own
        rows: list[asyncpg.Record] = await connection.fetch(query, after)
        return rows

    async def _publish(self, context: JetStreamContext, rows: list[asyncpg.Record], cursor: Cursor) -> None:
        """Publish the rows without waiting for each; the first refusal stops all that follow it."""
        promised = []
        for offset, row in enumerate(rows):
            headers = self._envelope(row).headers()
            headers[Header.EXPECTED_LAST_SEQUENCE] = str(cursor.sequence + offset)
            if offset:
                headers[Header.EXPECTED_LAST_MSG_ID] = str(rows[offset - 1]["id"])
            body = row["body"].encode()
            promised.append(context.publish(row["type"], body, stream=self._stream.name, headers=headers))
        answers = await asyncio.gather(*promised, return_exceptions=True)
        for answer, row in zip(answers, rows, strict=True):
            if isinstance(answer, APIError):
                raise StreamMovedError(f"refused revision {row['revision']}: {answer.description}") from answer
            if isinstance(answer, nats.errors.TimeoutError):
                raise UnacknowledgedError from answer
            if isinstance(answer, BaseException):
                raise answer
            cursor.sequence, cursor.event_id = answer.seq, row["id"]
            cursor.revision, cursor.epoch = row["revision"], row["epoch"]
            self.relayed = cursor.revision
        self._refusals = 0

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
