"""The transactional outbox: an event is committed with the change it tells, and numbered in commit order.

The numbers come from one head row, locked as the transaction's last statement until it commits: revisions are
gap-free and monotonic, and no reader can see revision r + 1 before r.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.contextvars import get_contextvars

from modelbus.chassis.ids import new_id
from modelbus.contracts.event import Event

_RECORDED = "modelbus.recorded"
_REVISION = "modelbus.revision"


@dataclass(frozen=True, slots=True)
class Head:
    """Where the truth stands."""

    epoch: UUID
    revision: int


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
        recorded: list[dict[str, Any]] = session.info.pop(_RECORDED, [])
        if not recorded:
            return
        taken = sa.update(self.head).values(version=self.head.c.version + len(recorded))
        head = (await session.execute(taken.returning(self.head.c.version, self.head.c.epoch))).one()
        first = head.version - len(recorded) + 1
        for offset, row in enumerate(recorded):
            row["revision"], row["epoch"] = first + offset, head.epoch
        await session.execute(insert(self.rows), recorded)
        await session.execute(sa.select(sa.func.pg_notify(self.channel, "")))
        session.info[_REVISION] = head.version

    async def read_head(self, session: AsyncSession) -> Head:
        """Read the head without locking it."""
        row = (await session.execute(sa.select(self.head.c.version, self.head.c.epoch))).one()
        return Head(epoch=row.epoch, revision=row.version)

    async def forget(self, session: AsyncSession, *, before: datetime) -> int:
        """Delete rows recorded before that time, but never the newest; answer how many."""
        newest = sa.select(sa.func.max(self.rows.c.revision)).scalar_subquery()
        old = sa.delete(self.rows).where(self.rows.c.recorded_at < before, self.rows.c.revision < newest)
        deleted = await session.execute(old.returning(self.rows.c.revision))
        return len(deleted.all())


async def record(session: AsyncSession, event: Event) -> None:
    """Tell the event when, and only if, the session's transaction commits."""
    about = event.about()
    context = get_contextvars()
    session.info.setdefault(_RECORDED, []).append(
        {
            "id": new_id(),
            "type": event.type,
            "subject": None if about is None else str(about),
            "schema_version": event.version,
            "body": event.model_dump_json(),
            "correlation_id": correlation_id(),
            "trace_parent": context.get("traceparent"),
            "recorded_at": datetime.now(UTC),
        }
    )


def correlation_id() -> str | None:
    """Answer what joins all that one request, or one message, caused."""
    context = get_contextvars()
    found: str | None = context.get("correlation_id") or context.get("request_id")
    return found


def recorded_so_far(session: AsyncSession) -> int:
    """Answer how many events the session will tell."""
    return len(session.info.get(_RECORDED, ()))


def committed_revision(session: AsyncSession) -> int | None:
    """Answer the revision that the session's last transaction took; None if it told nothing."""
    revision: int | None = session.info.get(_REVISION)
    return revision
