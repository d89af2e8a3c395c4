"""What a connection to PostgreSQL outlives, and what it does not."""

import socket
import traceback

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from modelbus.chassis.database import Database

SECRET = "very-secret-value"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone tells how long it waits")
async def test_a_server_that_vanishes_is_noticed_within_half_a_minute(catalog_database: Database) -> None:
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
