"""What a connection to PostgreSQL outlives, and what it does not."""

import asyncio
import socket
import traceback

import asyncpg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from modelbus.chassis import database as database_module
from modelbus.chassis.database import LOCK_TIMEOUT_MS, Database
from modelbus.chassis.outages import is_outage
from servers import FreshDatabase

SECRET = "very-secret-value"
END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND usename = current_user AND datname = current_database()
"""
LOCK = text("SELECT * FROM catalog.catalog_head FOR UPDATE")


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone tells how long it waits")
async def test_a_server_that_vanishes_is_noticed_within_half_a_minute_and_notices_us(
    catalog_database: Database,
) -> None:
    async with catalog_database.reading() as session:
        pooled = await (await session.connection()).get_raw_connection()
        used = pooled.driver_connection._transport.get_extra_info("socket")  # type: ignore[union-attr]

        assert used.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, between, tries = (
            used.getsockopt(socket.IPPROTO_TCP, each)
            for each in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + between * tries <= 30
        assert 0 < used.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
        shown = [await session.scalar(text(f"SELECT current_setting('{each}')::int")) for each in names]
        assert shown == [idle, between, tries]


async def test_who_falls_silent_in_a_change_keeps_others_from_theirs_for_a_while_only(
    database: FreshDatabase, catalog_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert database_module.IDLE_TRANSACTION_MS < LOCK_TIMEOUT_MS
    monkeypatch.setattr(database_module, "IDLE_TRANSACTION_MS", 1000)
    silent = Database(database.url("catalog"), service="silent")
    try:
        with pytest.raises(Exception) as ended:  # noqa: PT011 - which, is_outage tells
            async with silent.transaction() as session:
                await session.execute(LOCK)
                async with asyncio.timeout(5), catalog_database.transaction() as other:
                    await other.execute(LOCK)
                await session.execute(LOCK)
    finally:
        await silent.close()

    assert not isinstance(ended.value, TimeoutError)
    assert is_outage(ended.value)


class Farewells:
    """Carries to a server and back; that the server has closed reaches nobody, as where the last packet is late."""

    def __init__(self, port: int | None) -> None:
        self._port = port
        self.ended = asyncio.Semaphore(0)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until the client ends it."""
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._port)
        back = asyncio.create_task(self._back(theirs, writer))
        while sent := await reader.read(65536):
            ours.write(sent)
        await back
        for each in (ours, writer):
            each.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while sent := await reader.read(65536):
            writer.write(sent)
        self.ended.release()


async def test_a_server_that_said_goodbye_and_is_not_gone_yet_is_away(
    database: FreshDatabase, catalog_database: Database
) -> None:
    url = make_url(database.url("catalog"))
    farewells = Farewells(url.port)
    carrier = await asyncio.start_server(farewells.carry, "127.0.0.1", 0)
    near = url.set(host="127.0.0.1", port=carrier.sockets[0].getsockname()[1])
    carried = Database(near.render_as_string(hide_password=False), service="carried")
    bare = await asyncpg.connect(carried.dsn)
    async with carried.reading() as session:
        await session.execute(text("SELECT 1"))

    async with catalog_database.transaction() as session:
        await session.execute(text(END_OTHERS))
    for _ in (bare, carried):
        await farewells.ended.acquire()
    with pytest.raises(Exception) as told:  # noqa: PT011 - which, is_outage tells
        await bare.fetchval("SELECT 1")
    with pytest.raises(Exception) as wrapped:  # noqa: PT011 - the same
        async with carried.reading() as session:
            await session.execute(text("SELECT 1"))
    await carried.close()
    bare.terminate()
    carrier.close()

    assert (is_outage(told.value), is_outage(wrapped.value)) == (True, True)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT CAST(:secret AS text), 1 / 0",
        "INSERT INTO catalog.credentials (id, sealed) VALUES (gen_random_uuid(), :secret)",
    ],
)
async def test_an_error_of_the_database_tells_nothing_of_what_it_was_given(
    catalog_database: Database, statement: str
) -> None:
    with pytest.raises(DBAPIError) as failed:
        async with catalog_database.transaction() as session:
            await session.execute(text(statement), {"secret": SECRET})

    said = "".join(traceback.format_exception(failed.value))
    assert "asyncpg" in said
    assert SECRET not in said + repr(failed.value)
