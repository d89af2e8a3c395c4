"""Parked messages: what could not be handled, kept with the reason until an administrator retries or discards it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Request, params
from pydantic import BaseModel
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database

type Retry = Callable[[dict[str, str], bytes], Awaitable[None]]


class NotParkedError(Exception):
    """There is no parked message of that id."""

    code = "not_parked"


class RetryFailedError(Exception):
    """The message failed again and stays parked."""

    code = "retry_failed"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for what, for the audit log of a service that keeps one."""

    caller: Caller
    action: str
    path: str


class ParkedView(BaseModel):
    """A message that could not be handled."""

    id: UUID
    consumer: str
    subject: str
    event_id: UUID | None
    reason: str
    tries: int
    parked_at: datetime
    headers: dict[str, str]
    body: str
    """As text; bytes that are no UTF-8 are replaced."""


class ParkedPage(BaseModel):
    """A page of parked messages, newest first."""

    items: list[ParkedView]
    next_cursor: str | None


class Parking:
    """The parked messages of one service."""

    def __init__(self, metadata: sa.MetaData) -> None:
        self.rows = sa.Table(
            "parked",
            metadata,
            sa.Column("id", sa.Uuid, primary_key=True),
            sa.Column("consumer", sa.Text, nullable=False),
            sa.Column("subject", sa.Text, nullable=False),
            sa.Column("event_id", sa.Uuid),
            sa.Column("headers", sa.JSON, nullable=False),
            sa.Column("body", sa.LargeBinary, nullable=False),
            sa.Column("reason", sa.Text, nullable=False),
            sa.Column("tries", sa.Integer, nullable=False),
            sa.Column("parked_at", sa.DateTime(timezone=True), nullable=False),
            # Parked once, however often the event is told; the row's own id says the same of the place in the stream.
            sa.UniqueConstraint("consumer", "event_id", name="parked_once"),
        )
        self.begun = sa.Table(
            "begun",
            metadata,
            sa.Column("consumer", sa.Text, primary_key=True),
            sa.Column("event_id", sa.Uuid, primary_key=True),
            sa.Column("times", sa.Integer, nullable=False),
        )
        """Messages that are in somebody's hands, or ended who had them."""
        self._retries: dict[str, Retry] = {}
        self._database: Database | None = None

    def keep_in(self, database: Database) -> None:
        """Say which database holds the messages."""
        self._database = database

    def retry_with(self, consumer: str, retry: Retry) -> None:
        """Say who handles the messages of a consumer."""
        self._retries[consumer] = retry

    async def park(self, **message: Any) -> None:
        """Keep a message; one that is parked already is not kept twice."""
        message["reason"] = message["reason"].replace("\x00", "\\x00")[:4000]
        async with self._in.transaction() as session:
            await session.execute(insert(self.rows).values(**message).on_conflict_do_nothing())

    async def begin(self, consumer: str, event_id: UUID) -> int:
        """Note that a message is begun; answer how often it is by now, without having been done with."""
        row = insert(self.begun).values(consumer=consumer, event_id=event_id, times=1)
        again = row.on_conflict_do_update(constraint=self.begun.primary_key, set_={"times": self.begun.c.times + 1})
        async with self._in.transaction() as session:
            return await session.scalar(again.returning(self.begun.c.times)) or 0

    async def end(self, consumer: str, event_id: UUID) -> None:
        """Note that a message is done with, for now or for good."""
        begun = self.begun.c
        async with self._in.transaction() as session:
            await session.execute(sa.delete(self.begun).where(begun.consumer == consumer, begun.event_id == event_id))

    async def list_parked(self, limit: int, before: UUID | None) -> ParkedPage:
        """List messages, newest first, from before that id on."""
        query = sa.select(self.rows).order_by(self.rows.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(self.rows.c.id < before)
        async with self._in.reading() as session:
            rows = (await session.execute(query)).all()
        more = len(rows) > limit
        return ParkedPage(
            items=[_view(row) for row in rows[:limit]], next_cursor=str(rows[limit - 1].id) if more else None
        )

    async def show(self, parked_id: UUID) -> ParkedView:
        """Show a message.

        Raises:
            NotParkedError: nothing is parked under that id.
        """
        async with self._in.reading() as session:
            return _view(await self._find(session, parked_id))

    async def retry(self, parked_id: UUID, by: Asked) -> None:
        """Handle the message again and forget it if that succeeds.

        Raises:
            NotParkedError: nothing is parked under that id.
            RetryFailedError: it failed again.
        """
        async with self._in.reading() as session:
            row = await self._find(session, parked_id)
        try:
            await self._retries[row.consumer](row.headers, row.body)
        except Exception as error:  # whatever the handler raises is the answer to the administrator
            raise RetryFailedError(f"failed again and stays parked: {error!r}") from error
        await self.discard(parked_id, by)

    async def discard(self, parked_id: UUID, by: Asked) -> None:
        """Forget the message.

        Raises:
            NotParkedError: nothing is parked under that id.
        """
        gone = sa.delete(self.rows).where(self.rows.c.id == parked_id).returning(self.rows.c.id)
        async with self._in.transaction(by.caller) as session:
            session.info["action"], session.info["path"] = by.action, by.path
            if (await session.execute(gone)).one_or_none() is None:
                raise NotParkedError(f"no parked message {parked_id}")

    async def _find(self, session: AsyncSession, parked_id: UUID) -> Any:
        row = (await session.execute(sa.select(self.rows).where(self.rows.c.id == parked_id))).one_or_none()
        if row is None:
            raise NotParkedError(f"no parked message {parked_id}")
        return row

    @property
    def _in(self) -> Database:
        assert self._database is not None  # noqa: S101 - keep_in() is part of assembly
        return self._database

    def routes(self, guards: Sequence[params.Depends] = ()) -> APIRouter:
        """Answer the administrator's paths to the parked messages, behind the guards."""
        routes = APIRouter(prefix="/api/v1/parked", tags=["parked"], dependencies=guards)

        @routes.get("")
        async def list_parked(limit: int = 50, cursor: UUID | None = None) -> ParkedPage:
            """List messages that could not be handled, newest first."""
            return await self.list_parked(max(1, min(limit, 200)), cursor)

        @routes.get("/{parked_id}")
        async def show_parked(parked_id: UUID) -> ParkedView:
            """Show a message that could not be handled."""
            return await self.show(parked_id)

        @routes.post("/{parked_id}/retry", status_code=204)
        async def retry_parked(parked_id: UUID, request: Request) -> None:
            """Handle the message again; it is forgotten when that succeeds."""
            await self.retry(parked_id, _asked(request))

        @routes.delete("/{parked_id}", status_code=204)
        async def discard_parked(parked_id: UUID, request: Request) -> None:
            """Forget the message without handling it."""
            await self.discard(parked_id, _asked(request))

        return routes


def _asked(request: Request) -> Asked:
    return Asked(request.state.caller, f"{request.method} {request.scope['route'].path}", request.url.path)


def _view(row: Any) -> ParkedView:
    return ParkedView(
        id=row.id,
        consumer=row.consumer,
        subject=row.subject,
        event_id=row.event_id,
        reason=row.reason,
        tries=row.tries,
        parked_at=row.parked_at,
        headers=row.headers,
        body=row.body.decode(errors="replace"),
    )
