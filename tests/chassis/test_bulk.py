"""Many rows are written as few are, only faster."""

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from builders import an_event
from modelbus.catalog.store.tables import audit, models, outbox
from modelbus.chassis import bulk
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.outbox import PACKED_AT_ONCE, committed_revision, record, recorded_so_far

MANY = bulk.COPY_FROM + 1
NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
COLUMNS = ("id", "name", "aliases", "display_name", "description", "model_type", "is_active", "is_available")
LAST = ("since", "provenance", "created_at", "updated_at")


def a_row(number: int) -> tuple[Any, ...]:
    text = f"nämé\t{number}\n\\N"
    told = {"display_name": "administrator", "quoted": 'a "b" \\ ü'}
    return (new_id(), text, ["one", f'two "{number}"'], text, None, "language", True, False, NOW, told, NOW, NOW)


@pytest.mark.parametrize("rows", [1, MANY])
async def test_what_is_written_is_read_again(catalog_database: Database, rows: int) -> None:
    written = [a_row(number) for number in range(rows)]

    async with catalog_database.transaction() as session:
        await bulk.insert(session, models, (*COLUMNS, *LAST), written)

    async with catalog_database.reading() as session:
        columns = [models.c[name] for name in (*COLUMNS, *LAST)]
        found = (await session.execute(sa.select(*columns).order_by(models.c.id))).all()
    assert [tuple(row) for row in found] == sorted(written, key=lambda row: row[0])


async def test_nothing_is_no_statement(catalog_database: Database) -> None:
    async with catalog_database.reading() as session:
        await bulk.insert(session, models, COLUMNS, [])


async def test_what_the_transaction_takes_back_was_never_there(catalog_database: Database) -> None:
    with pytest.raises(RuntimeError):
        async with catalog_database.transaction() as session:
            # As its very first statement: the driver must know by then that a transaction has begun.
            await bulk.insert(session, models, (*COLUMNS, *LAST), [a_row(number) for number in range(MANY)])
            raise RuntimeError

    async with catalog_database.reading() as session:
        assert await session.scalar(sa.select(sa.func.count()).select_from(models)) == 0


async def test_the_difference_between_null_and_the_text_of_null_is_kept(catalog_database: Database) -> None:
    columns = ("id", "at", "caller_id", "caller_name", "caller_role", "action", "outcome", "changes", "detail")
    rows = [(new_id(), NOW, None, "null", "admin", "x", "done", 0, {"null": None}) for _ in range(MANY)]

    async with catalog_database.transaction() as session:
        await bulk.insert(session, audit, columns, rows)

    async with catalog_database.reading() as session:
        row = (await session.execute(sa.select(audit).limit(1))).one()
    assert (row.caller_id, row.caller_name, row.request_id, row.detail) == (None, "null", None, {"null": None})


async def test_a_hundred_thousand_events_would_wait_packed_and_keep_their_order(catalog_database: Database) -> None:
    events = [an_event(cause) for cause in ("first", *["between"] * (2 * PACKED_AT_ONCE), "last")]

    async with catalog_database.transaction() as session:
        for event in events:
            await record(session, event)
        assert recorded_so_far(session) == len(events)

    assert committed_revision(session) == len(events)
    async with catalog_database.reading() as session:
        rows = (await session.execute(sa.select(outbox.rows).order_by(outbox.rows.c.revision))).all()
    assert [row.revision for row in rows] == list(range(1, len(events) + 1))
    assert [row.subject for row in rows] == [str(event.about()) for event in events]
    assert [row.body for row in rows] == [event.model_dump_json() for event in events]
    assert len({row.id for row in rows}) == len(events)
    assert (rows[0].recorded_at.tzinfo, rows[0].correlation_id) == (UTC, None)
