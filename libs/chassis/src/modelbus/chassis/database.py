"""PostgreSQL: the doors open transactions here, write through `transaction`, read through `reading`."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import event, text
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from modelbus.chassis import database_outages, outages
from modelbus.chassis.callers import Caller
from modelbus.chassis.outbox import Outbox, committed_revision

STATEMENT_TIMEOUT_MS = 60_000
LOCK_TIMEOUT_MS = 15_000
IDLE_TRANSACTION_MS = 10_000
"""So long may nothing be said within a transaction: a process that is frozen, or out of reach, in the middle of a
change keeps what it has locked, and others wait for a lock a little longer than that."""
LONG_PAUSE_MS = 60_000
CONNECT_TIMEOUT_S = 5
REFUSAL_S = 10.0
"""How long a server that took no change counts as such, unless it takes one: nobody may change anything meanwhile."""
REFUSALS = {"53100": "its disk is full", "25006": "it only reads"}
"""PostgreSQL's states for a server that answers, and takes no changes."""
TRUSTED_S = 5.0
"""How long a connection that nobody uses is taken for alive; a server that stops says so at once."""

VANISHED = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}
"""A server that is silent for 10 s is asked every 5 s whether it is there, and given up after 25 s (in ms) in all."""
VANISHED_CLIENT = {
    "tcp_keepalives_idle": str(VANISHED["TCP_KEEPIDLE"]),
    "tcp_keepalives_interval": str(VANISHED["TCP_KEEPINTVL"]),
    "tcp_keepalives_count": str(VANISHED["TCP_KEEPCNT"]),
    "tcp_user_timeout": str(VANISHED["TCP_USER_TIMEOUT"]),
}
"""The same of us, as the server asks: else it would keep the session of a machine that is gone for two hours."""

type Finish = Callable[[AsyncSession], Awaitable[None]]
"""What is written at the end of every transaction, just before its events."""


class Database:
    """Sessions of one service on its own schema."""

    def __init__(
        self, url: str, *, service: str, pool: int = 10, outbox: Outbox | None = None, finish: Finish | None = None
    ) -> None:
        self.dsn = plain_dsn(url)
        """The URL as asyncpg takes it, for the connections that need no session."""
        self.outbox = outbox
        self._finish = finish
        self._self = Caller.system(service)
        self._refused: tuple[float, str] | None = None
        """When a change was refused for what the server lacks, and why."""
        self._engine = create_async_engine(
            engine_url(url),
            pool_size=pool,
            max_overflow=0,
            pool_timeout=10,
            # What a statement was given may be a secret or its hash, and errors go into logs and parked messages.
            hide_parameters=True,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
            connect_args={
                "dsn": self.dsn,
                "timeout": CONNECT_TIMEOUT_S,
                "server_settings": {
                    "application_name": f"modelbus-{service}",
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_TRANSACTION_MS),
                    "timezone": "UTC",
                    **VANISHED_CLIENT,
                },
            },
        )
        outages.heed(database_outages.is_outage)
        event.listen(self._engine.sync_engine, "connect", _keep_asking)
        event.listen(self._engine.sync_engine, "handle_error", _forget_row)
        event.listen(self._engine.sync_engine, "checkin", _note_time)
        event.listen(self._engine.sync_engine, "checkout", _look_whether_alive)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False, autoflush=False)
        self._readings = async_sessionmaker(
            self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
            expire_on_commit=False,
            autoflush=False,
        )

    @asynccontextmanager
    async def transaction(self, caller: Caller | None = None) -> AsyncIterator[AsyncSession]:
        """Open a transaction that commits, events included, when the block ends without an error.

        `caller` is for whom it is done: `session.info["caller"]`; without one, the service itself. The events'
        numbers are taken as the last statement, so the head stays locked only until the commit.
        """
        try:
            async with self._sessions() as session, session.begin():
                session.info["caller"] = caller or self._self
                yield session
                if self._finish is not None:
                    await self._finish(session)
                if self.outbox is not None:
                    await self.outbox.flush(session)
        except DBAPIError as error:
            if reason := REFUSALS.get(getattr(error.orig, "sqlstate", "")):
                self._refused = monotonic(), reason
            raise
        # One that changed nothing may pass all the while.
        if committed_revision(session) is not None:
            self._refused = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """Open one consistent view that PostgreSQL itself refuses to write through."""
        async with self._readings() as session, session.begin():
            yield session

    async def problem(self) -> str | None:
        """Answer why the database can't be used now; None when it can."""
        try:
            async with self._engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
        except Exception as error:  # noqa: BLE001 - readiness reports whatever the driver raises
            return f"PostgreSQL does not answer: {outages.distrust(error) or type(error).__name__}"
        if self._refused is not None and monotonic() - self._refused[0] < REFUSAL_S:
            return f"PostgreSQL takes no changes: {self._refused[1]}"
        return None

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def allow_pauses(session: AsyncSession) -> None:
    """Let the transaction compute for a minute between two statements, as where it is about all of a catalog."""
    await session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = {LONG_PAUSE_MS}"))


def _keep_asking(connection: Any, _record: Any) -> None:
    """Have the kernel find out that the server has vanished: the driver waits for its answer for ever."""
    found = connection.driver_connection._transport.get_extra_info("socket")  # noqa: SLF001 - the driver has no option
    if found is None:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in VANISHED.items():
        # Not every system has each of them.
        if option := getattr(socket, name, None):
            found.setsockopt(socket.IPPROTO_TCP, option, value)


def _forget_row(context: ExceptionContext) -> None:
    """Leave out of an error the row that it was about: PostgreSQL tells it whole."""
    told = getattr(context.original_exception, "__cause__", None)
    if isinstance(told, asyncpg.PostgresError):
        told.detail = None


def _note_time(_connection: Any, record: Any) -> None:
    record.info["returned_at"] = monotonic()


def _look_whether_alive(connection: Any, record: Any, _proxy: Any) -> None:
    """Have a dead connection replaced. To ask the server at each use would double the trips of a short answer."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError
    if monotonic() - record.info.get("returned_at", monotonic()) > TRUSTED_S:
        try:
            connection.ping()
        except Exception as error:
            raise DisconnectionError from error


def engine_url(url: str) -> URL:
    """Answer the URL for an engine that is given the `plain_dsn` as well.

    The driver itself reads `sslmode`, `sslrootcert` and the like there; SQLAlchemy would hand it what it doesn't know.
    """
    return make_url(url).set(drivername="postgresql+asyncpg", query={})


def plain_dsn(url: str) -> str:
    """Answer the URL without a driver name, password included."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
