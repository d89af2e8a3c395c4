"""The transactional outbox: an event is committed with the change it tells, and numbered in commit order.

The numbers come from one head row, locked as the transaction's last statement until it commits: revisions are
gap-free and monotonic, and no reader can see revision r + 1 before r.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import get_contextvars

from modelbus.chassis import bulk
from modelbus.chassis.ids import new_id
from modelbus.contracts.bus import MAX_BODY
from modelbus.contracts.event import Event

PACKED_AT_ONCE = 2000
BYTES_PER_SIGN = 4
"""At most, in UTF-8."""
KEPT = timedelta(days=7)
"""For so long an outbox can tell again what a stream has lost; the catalog's serves its history, and has its own."""

_WAITING = "modelbus.waiting"
_REVISION = "modelbus.revision"


@dataclass(frozen=True, slots=True)
class Head:
    """Where the truth stands."""

    epoch: UUID
    revision: int


class _Recorded(NamedTuple):
    """An event that waits for its number, by the columns of the outbox."""

    id: UUID
    type: str
    subject: str | None
    schema_version: str
    body: str
    correlation_id: str | None
    trace_parent: str | None
    recorded_at: datetime


class _Waiting:
    """The events of one transaction; packed, for a large listing makes hundreds of thousands."""

    def __init__(self) -> None:
        self.count = 0
        self._packed: list[bytes] = []
        self._newest: list[_Recorded] = []

    def add(self, event: _Recorded) -> None:
        self.count += 1
        self._newest.append(event)
        if len(self._newest) == PACKED_AT_ONCE:
            self._packed.append(zlib.compress(msgspec.msgpack.encode(self._newest), 1))
            self._newest = []

    def copy(self) -> "_Waiting":
        """Answer the same events in lists of their own, for who may take back what comes after."""
        copied = _Waiting()
        copied.count, copied._packed, copied._newest = self.count, self._packed.copy(), self._newest.copy()
        return copied

    def __iter__(self) -> Iterator[_Recorded]:
        for pack in self._packed:
            yield from msgspec.msgpack.decode(zlib.decompress(pack), type=list[_Recorded])
        yield from self._newest


class EventTooLargeError(Exception):
    """A change can't be told, so it is not made."""

    code = "event_too_large"

    def __init__(self, event_type: str, size: int) -> None:
        super().__init__(f"the record would make a {event_type} of {size} bytes; at most {MAX_BODY} can be told")


class Outbox:
    """The outbox and head tables of one service's schema."""

    def __init__(self, metadata: sa.MetaData, *, service: str) -> None:
        self.source = f"/modelbus/{service}"
        self.schema = metadata.schema or service
        self.channel = f"{self.schema}_outbox"
        """NOTIFY channel that wakes the relay."""
        self.head = sa.Table(
            f"{service}_head",
            metadata,
            sa.Column("singleton", sa.Boolean, primary_key=True, server_default=sa.true()),
            sa.CheckConstraint("singleton", name="singleton"),
            sa.Column("version", sa.BigInteger, nullable=False, server_default="0"),
            sa.Column("epoch", sa.Uuid, nullable=False),
        )
        self.rows = sa.Table(
            "outbox",
            metadata,
            sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("epoch", sa.Uuid, nullable=False),
            sa.Column("id", sa.Uuid, nullable=False),
            sa.Column("type", sa.Text, nullable=False),
            sa.Column("subject", sa.Text),
            sa.Column("schema_version", sa.Text, nullable=False),
            # Text, not JSON: the feed's digests are over these very bytes.
            sa.Column("body", sa.Text, nullable=False),
            sa.Column("correlation_id", sa.Text),
            sa.Column("trace_parent", sa.Text),
            sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        )

    async def flush(self, session: AsyncSession) -> None:
        """Number the session's recorded events and write them; the last statement before commit."""
        waiting: _Waiting | None = session.info.pop(_WAITING, None)
        if waiting is None:
            return
        taken = sa.update(self.head).values(version=self.head.c.version + waiting.count)
        head = (await session.execute(taken.returning(self.head.c.version, self.head.c.epoch))).one()
        first = head.version - waiting.count + 1
        numbered = ((revision, head.epoch, *each) for revision, each in enumerate(waiting, first))
        await bulk.insert(session, self.rows, ("revision", "epoch", *_Recorded._fields), numbered)
        await session.execute(sa.select(sa.func.pg_notify(self.channel, "")))
        session.info[_REVISION] = head.version

    async def read_head(self, session: AsyncSession) -> Head:
        """Read the head without locking it."""
        row = (await session.execute(sa.select(self.head.c.version, self.head.c.epoch))).one()
        return Head(epoch=row.epoch, revision=row.version)

    async def begin_epoch(self, session: AsyncSession, *, beyond: int = 0) -> Head:
        """Number in a new epoch from here on: what was told before and what follows are no one history.

        Revisions stay monotonic across epochs, so no hearer's comparison ever goes backwards.
        """
        version = sa.func.greatest(self.head.c.version, beyond)
        begun = sa.update(self.head).values(epoch=uuid4(), version=version)
        row = (await session.execute(begun.returning(self.head.c.version, self.head.c.epoch))).one()
        return Head(epoch=row.epoch, revision=row.version)

    async def renumber(self, session: AsyncSession, *, after: int) -> int:
        """Put what was recorded after that revision behind all, into the epoch that was just begun; answer how many.

        The caller's transaction has begun the epoch, so nobody else takes a number meanwhile.
        """
        head, rows = await self.read_head(session), self.rows
        place = head.revision + sa.func.row_number().over(order_by=rows.c.revision)
        late = sa.select(rows.c.revision, place.label("place"))
        moved = late.where(rows.c.revision > after, rows.c.epoch != head.epoch).subquery()
        numbered = sa.update(rows).where(rows.c.revision == moved.c.revision)
        numbered = numbered.values(revision=moved.c.place, epoch=head.epoch)
        count = len((await session.execute(numbered.returning(rows.c.revision))).all())
        await session.execute(sa.update(self.head).values(version=self.head.c.version + count))
        return count

    async def forget(self, session: AsyncSession, *, before: datetime) -> int:
        """Delete rows recorded before that time, but never the newest; answer how many."""
        newest = sa.select(sa.func.max(self.rows.c.revision)).scalar_subquery()
        old = sa.delete(self.rows).where(self.rows.c.recorded_at < before, self.rows.c.revision < newest)
        deleted = await session.execute(old.returning(self.rows.c.revision))
        return len(deleted.all())


async def record(session: AsyncSession, event: Event) -> None:
    """Tell the event when, and only if, the session's transaction commits.

    Raises:
        EventTooLargeError: it is larger than what the bus takes; once committed it would hold up all that follow.
    """
    about = event.about()
    body = event.model_dump_json()
    if len(body) > MAX_BODY // BYTES_PER_SIGN and (size := len(body.encode())) > MAX_BODY:
        raise EventTooLargeError(event.type, size)
    context = get_contextvars()
    waiting: _Waiting = session.info.setdefault(_WAITING, _Waiting())
    waiting.add(
        _Recorded(
            id=new_id(),
            type=event.type,
            subject=None if about is None else str(about),
            schema_version=event.version,
            body=body,
            correlation_id=correlation_id(),
            trace_parent=context.get("traceparent"),
            recorded_at=datetime.now(UTC),
        )
    )


def correlation_id() -> str | None:
    """Answer what joins all that one request, or one message, caused."""
    context = get_contextvars()
    found: str | None = context.get("correlation_id") or context.get("request_id")
    return found


def recorded_so_far(session: AsyncSession) -> int:
    """Answer how many events the session will tell."""
    waiting: _Waiting | None = session.info.get(_WAITING)
    return 0 if waiting is None else waiting.count


def committed_revision(session: AsyncSession) -> int | None:
    """Answer the revision that the session's last transaction took; None if it told nothing."""
    revision: int | None = session.info.get(_REVISION)
    return revision
