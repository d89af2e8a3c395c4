import asyncio

import asyncpg
import pytest

from builders import an_event
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.outbox import EventTooLargeError, committed_revision, record
from modelbus.contracts.bus import MAX_BODY
from modelbus.contracts.catalog import SyncRequested
from servers import FreshDatabase


async def kept(database: FreshDatabase) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(database.superuser())
    try:
        rows: list[asyncpg.Record] = await connection.fetch("SELECT * FROM catalog.outbox ORDER BY revision")
        return rows
    finally:
        await connection.close()


async def test_events_of_concurrent_transactions_are_numbered_without_a_gap(
    catalog_database: Database, database: FreshDatabase
) -> None:
    async def commit(events: int) -> int | None:
        async with catalog_database.transaction() as session:
            for _ in range(events):
                await record(session, an_event())
        return committed_revision(session)

    taken = await asyncio.gather(*(commit(1 + n % 3) for n in range(30)))

    rows = await kept(database)
    assert [row["revision"] for row in rows] == list(range(1, len(rows) + 1))
    assert max(revision or 0 for revision in taken) == len(rows) == sum(1 + n % 3 for n in range(30))


async def test_a_transaction_that_fails_tells_nothing_and_takes_no_number(
    catalog_database: Database, database: FreshDatabase
) -> None:
    with pytest.raises(RuntimeError):
        async with catalog_database.transaction() as session:
            await record(session, an_event())
            raise RuntimeError

    async with catalog_database.transaction() as session:
        await record(session, an_event("credential"))

    assert [
        (row["revision"], SyncRequested.model_validate_json(row["body"]).cause) for row in await kept(database)
    ] == [(1, "credential")]


async def test_a_change_that_no_message_can_tell_is_not_made(
    catalog_database: Database, database: FreshDatabase
) -> None:
    # Of signs that take three bytes each, so that bytes are counted and not signs.
    largest = (MAX_BODY - len(an_event("").model_dump_json())) // 3
    async with catalog_database.transaction() as session:
        await record(session, an_event("限" * largest))

    with pytest.raises(EventTooLargeError, match=f"sync.requested of .* at most {MAX_BODY}"):
        async with catalog_database.transaction() as session:
            await record(session, an_event("限" * (largest + 1)))

    assert [row["revision"] for row in await kept(database)] == [1]


async def test_a_transaction_that_records_nothing_does_not_touch_the_head(catalog_database: Database) -> None:
    async with catalog_database.transaction() as session:
        pass

    assert committed_revision(session) is None
    async with catalog_database.reading() as session:
        assert (await outbox.read_head(session)).revision == 0


async def test_a_reading_session_can_not_write(catalog_database: Database) -> None:
    with pytest.raises(Exception, match="read-only transaction"):
        async with catalog_database.reading() as session:
            await record(session, an_event())
            await outbox.flush(session)
