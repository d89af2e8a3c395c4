"""Runs are found, watched, cancelled, and given up when they do not move."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import SyncRequested
from modelbus.contracts.sync import ListingFetched, SyncFailed
from modelbus.simulator import Fault
from modelbus.sync.actions import reviews, runs
from modelbus.sync.domain.errors import NotQuarantinedError
from modelbus.sync.domain.runs import Counts, Findings, Run
from modelbus.sync.store import runs as stored
from modelbus.sync.store.tables import outbox
from running import SERVICE_TOKEN, eventually
from servers import Databases
from sync.catalog_stand_in import a_supplier
from sync.running_sync import OpenDatabase, RunningSync, neighbours, running_sync
from sync.test_queue import KNOWN, a_run, find, request, take

HOUR = timedelta(hours=1)


async def found(sync: RunningSync, **params: Any) -> set[str]:
    answer = await sync.http.get("/api/v1/runs", params=params)
    assert answer.status_code == 200, answer.text
    return {run["id"] for run in answer.json()["items"]}


async def a_fetching_run(sync: RunningSync, fault: Fault) -> dict[str, Any]:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter))
    await sync.catalog.put(supplier)
    sync.simulator.openrouter.misbehave(fault)
    run_id = await sync.catalog.request(supplier)
    await eventually(lambda: len(sync.simulator.openrouter.exchanges) == 1)
    return await sync.run_in(run_id, "fetching")


async def cancel(sync: RunningSync, run_id: str) -> tuple[int, str]:
    answer = await sync.http.post(f"/api/v1/runs/{run_id}/cancel")
    shown = answer.json()
    return answer.status_code, shown.get("status" if answer.is_success else "code")


async def test_runs_are_found_by_supplier_state_trigger_and_time(sync: RunningSync) -> None:
    supplier = a_supplier()
    asked = await sync.listing_of(supplier)
    scheduled = await sync.listing_of(supplier, "schedule")
    mine = {"supplier_id": str(supplier.id)}
    between = scheduled["requested_at"]

    assert await found(sync, **mine) == {asked["id"], scheduled["id"]}
    assert await found(sync, **mine, cause="schedule") == {scheduled["id"]}
    assert await found(sync, **mine, status="failed", cause="administrator") == {asked["id"]}
    assert await found(sync, **mine, status="unchanged") == set()
    assert await found(sync, **mine, since=between) == {scheduled["id"]}
    assert await found(sync, **mine, until=between) == {asked["id"]}


@pytest.mark.parametrize("query", ["cause=nobody", "since=yesterday", "until=2025-04-23T00:00:00"])
async def test_a_filter_that_says_nothing_is_refused_by_name(sync: RunningSync, query: str) -> None:
    answer = await sync.http.get(f"/api/v1/runs?{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"query.{query.partition('=')[0]}"


async def test_a_run_tells_who_asked_how_much_came_and_how_long_it_took(sync: RunningSync) -> None:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter))
    await sync.catalog.put(supplier)
    await sync.listing_of(supplier)

    answer = await sync.http.post("/api/v1/runs", json={"supplier_id": str(supplier.id)})
    run = await sync.applied(await sync.run_in(answer.json()["run_ids"][0], "fetched"))

    assert (run["requested_by"], run["pages_read"]) == ("administrator", 1)
    assert run["bytes_read"] > 50_000
    assert run["duration_s"] > 0


async def test_a_run_that_the_catalog_asks_for_tells_who_asked_there(sync: RunningSync) -> None:
    run_id, supplier = new_id(), a_supplier()

    await sync.catalog.tell(
        SyncRequested(run_id=run_id, supplier_id=supplier.id, cause="credential", requested_by="mei")
    )
    run = await sync.run_in(run_id, "failed")

    assert (run["requested_by"], run["cause"]) == ("mei", "credential")


async def test_a_run_shows_how_far_it_is_while_the_listing_comes(sync: RunningSync) -> None:
    run = await a_fetching_run(sync, Fault(slow_body_bytes_per_second=2000))

    assert (run["status"], run["pages_read"], run["bytes_read"], run["duration_s"]) == ("fetching", 0, 0, None)


async def test_a_cancelled_run_is_not_fetched_any_further(
    databases: Databases, public_directory: Path, tmp_path: Path
) -> None:
    async with neighbours(databases, public_directory, tmp_path) as around:
        around.settings.update(fetch_read_s=60, fetch_deadline_s=60)
        async with running_sync(around) as sync:
            run_id = (await a_fetching_run(sync, Fault(accept_and_hang=True)))["id"]

            answers = [await cancel(sync, run_id) for _ in range(2)]

            [exchange] = sync.simulator.openrouter.exchanges
            assert await eventually(lambda: exchange.client_disconnected, within_s=5)
            run = await sync.run(run_id)
            told = {str(each.run_id) for each in await sync.told(ListingFetched)}
            told |= {str(each.run_id) for each in await sync.told(SyncFailed)}

    assert answers == [(200, "cancelled")] * 2
    assert (run["status"], run["reason"]) == ("cancelled", "cancelled by administrator")
    assert run["decided_by"] == "administrator"
    assert run_id not in told


async def test_a_run_that_waits_is_cancelled_and_never_begins(open_database: OpenDatabase) -> None:
    waiting = a_run()
    async with open_database() as database:
        await request(database, waiting)
        async with database.transaction() as session:
            await runs.cancel_run(session, waiting.id, "mei")

        assert await take(database) is None
        cancelled = await find(database, waiting.id)
        assert (cancelled.status, cancelled.decided_by, cancelled.started_at) == ("cancelled", "mei", None)


async def test_a_run_that_was_cancelled_is_not_said_to_be_applied(open_database: OpenDatabase) -> None:
    waiting = a_run()
    async with open_database() as database:
        await request(database, waiting)
        async with database.transaction() as session:
            await runs.cancel_run(session, waiting.id, "mei")

        with pytest.raises(NotQuarantinedError):
            async with database.transaction() as session:
                await reviews.apply_quarantined(session, waiting.id, "mei")


async def test_a_run_that_has_ended_or_is_in_the_catalog_s_hands_is_not_cancelled(sync: RunningSync) -> None:
    supplier = a_supplier(sync.simulator.base_url(sync.simulator.openrouter))
    await sync.catalog.put(supplier)
    fetched, failed = await sync.listing_of(supplier), await sync.listing_of(a_supplier())

    assert await cancel(sync, fetched["id"]) == (409, "not_cancellable")
    assert await cancel(sync, failed["id"]) == (409, "not_cancellable")
    assert await cancel(sync, str(new_id())) == (404, "not_found")
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    refused = await sync.http.post(f"/api/v1/runs/{fetched['id']}/cancel", headers=headers)
    assert refused.status_code == 403


FINDINGS = Findings(digest="d", listed_count=1, left_out_count=0)


async def test_runs_that_do_not_move_are_given_up_and_told_with_the_reason(open_database: OpenDatabase) -> None:
    now = datetime.now(UTC)
    long_ago: dict[str, Any] = {"requested_at": now - 2 * HOUR, "started_at": now - 2 * HOUR}
    waiting = a_run(requested_at=now - 2 * HOUR)
    fetching = a_run(status="fetching", **long_ago)
    unanswered = a_run(status="fetched", **long_ago)
    moving = [
        a_run(requested_at=now),
        a_run(status="fetching", requested_at=now - 2 * HOUR, started_at=now),
        a_run(status="fetched", decided_at=now, **long_ago),
        a_run(status="quarantined", **long_ago),
    ]
    async with open_database() as database:
        await request(database, waiting, fetching, unanswered, *moving)

        async with database.transaction() as session:
            stuck = await runs.fail_stuck_runs(session, HOUR)

        assert {run.id for run in stuck} == {waiting.id, fetching.id, unanswered.id}
        reasons = [(await find(database, run.id)).reason for run in (waiting, fetching, unanswered)]
        assert reasons == [
            "it never began within 3600 s",
            "the fetching did not end within 3600 s",
            "the catalog did not answer within 3600 s",
        ]
        assert {(await find(database, run.id)).status for run in moving} == {run.status for run in moving}
        async with database.reading() as session:
            assert (await session.scalars(sa.select(outbox.rows.c.type))).all() == ["sync.failed"] * 3


async def test_a_listing_that_is_applied_after_its_run_was_given_up_is_recorded_as_applied(
    open_database: OpenDatabase,
) -> None:
    now = datetime.now(UTC)
    late = a_run(requested_at=now - 2 * HOUR).fetch(FINDINGS, attempts=1)
    failed = a_run(status="failed", requested_at=now - 2 * HOUR)
    async with open_database() as database:
        await request(database, late, failed)
        async with database.transaction() as session:
            await runs.fail_stuck_runs(session, HOUR)
            for run in (late, failed):
                await runs.complete_run(session, run.id, Counts(1, 0, 0, 0, 0), now)

        assert [(await find(database, run.id)).status for run in (late, failed)] == ["applied", "failed"]


async def test_no_more_runs_are_taken_up_at_once_than_may_be_whatever_replica_asks(open_database: OpenDatabase) -> None:
    async with open_database() as one, open_database() as other:
        await request(one, *(a_run() for _ in range(6)))

        async def take_one(number: int) -> Run | None:
            async with (one, other)[number % 2].transaction() as session:
                return await runs.take_run(
                    session, lease_s=60, known=KNOWN, name_of=lambda _: "supplier", most_at_once=2
                )

        taken = [run for run in await asyncio.gather(*map(take_one, range(6))) if run]
        assert len(taken) == 2
        async with one.transaction() as session:
            await runs.fail_run(session, taken[0], "no", attempts=1)

        assert await take_one(0) is not None
        assert await take_one(1) is None


async def test_a_dead_worker_takes_nobody_s_place(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        dead = a_run(status="fetching", leased_until=datetime.now(UTC) - HOUR, times_taken=1)
        await request(database, dead)

        async with database.transaction() as session:
            taken = await stored.lock_next_run(session, KNOWN, 1)

        assert taken is not None
        assert taken.id == dead.id
