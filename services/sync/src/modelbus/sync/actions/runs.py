"""Runs are requested, taken up by one worker at a time, and brought to an end that is told."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import outbox
from modelbus.chassis.ids import new_id
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.sync import SyncFailed
from modelbus.sync.domain.errors import NotCancellableError, RunNotFoundError
from modelbus.sync.domain.names import readable
from modelbus.sync.domain.runs import KEPT_FOR, MOST_LOSSES, CatalogPoint, Cause, Counts, Run, Status
from modelbus.sync.domain.schedule import due_at
from modelbus.sync.domain.validators import Validators
from modelbus.sync.store import runs

KEPT = 50
_STUCK = {
    Status.REQUESTED: "it never began",
    Status.FETCHING: "the fetching did not end",
    Status.FETCHED: "the catalog did not answer",
}


async def request_run(session: AsyncSession, run: Run, wake: asyncio.Event) -> None:
    """Put the run in the queue, once however often it is asked for, and wake the workers when that is committed."""
    if await runs.insert_run(session, run):
        event.listen(session.sync_session, "after_commit", lambda _session: wake.set(), once=True)


async def request_listings(
    session: AsyncSession, suppliers: Collection[SupplierRecord], by: str, wake: asyncio.Event, known: CatalogPoint
) -> list[UUID]:
    """Ask for a listing of each supplier on an administrator's behalf; answer the runs in the same order."""
    now = datetime.now(UTC)
    wanted = [replace(_new_run(supplier, Cause.ADMINISTRATOR, now, known), requested_by=by) for supplier in suppliers]
    for run in wanted:
        await request_run(session, run, wake)
    return [run.id for run in wanted]


async def request_due_listings(
    session: AsyncSession, suppliers: Collection[SupplierRecord], wake: asyncio.Event, known: CatalogPoint
) -> list[UUID]:
    """Ask for a listing of each supplier whose interval is over; answer the runs.

    Replicas that look at the same time do it one at a time, so what is due is asked for once.
    """
    if not await runs.try_schedule_lock(session):
        return []
    now = datetime.now(UTC)
    newest = await runs.newest_runs(session, [supplier.id for supplier in suppliers])
    due = [supplier for supplier in suppliers if _is_due(supplier, newest.get(supplier.id), now)]
    wanted = [_new_run(supplier, Cause.SCHEDULE, now, known) for supplier in due]
    for run in wanted:
        await request_run(session, run, wake)
    return [run.id for run in wanted]


async def take_run(
    session: AsyncSession,
    *,
    lease_s: float,
    known: CatalogPoint,
    name_of: Callable[[UUID], str | None],
    most_at_once: int = 1000,
) -> Run | None:
    """Take up the next run on a lease; None when there is nothing to do, or as many as may are under way.

    `known` and `name_of` are what the worker knows of the catalog and its suppliers.
    """
    while (found := await runs.lock_next_run(session, known, most_at_once)) is not None:
        run, now = found.lose(), datetime.now(UTC)
        if not run.is_hopeless:
            name = name_of(run.supplier_id) or run.supplier_name
            taken = run.take(name, now, await runs.lease_end(session, lease_s))
            await runs.save_run(session, taken)
            return taken
        await _fail(session, run, f"the worker was lost {MOST_LOSSES} times while it fetched", attempts=0)
    return None


async def renew_lease(session: AsyncSession, held: Run, *, lease_s: float, pages: int = 0, size: int = 0) -> None:
    """Tell that the worker is alive, and how much of the listing has come.

    Raises:
        LeaseLostError: too late, or the run was cancelled.
    """
    run = await runs.lock_held_run(session, held)
    leased_until = await runs.lease_end(session, lease_s)
    await runs.save_run(session, run.take_longer(leased_until, pages=pages, size=size))


async def release_run(session: AsyncSession, held: Run) -> None:
    """Give the run back untouched.

    Raises:
        LeaseLostError: somebody else has it.
    """
    run = await runs.lock_held_run(session, held)
    await runs.save_run(session, run.release())


async def fail_run(session: AsyncSession, held: Run, reason: str, *, attempts: int) -> None:
    """Give the run up and tell why; the catalog stays as it is.

    Raises:
        LeaseLostError: somebody else has it.
    """
    await _fail(session, await runs.lock_held_run(session, held), reason, attempts=attempts)


async def leave_run(session: AsyncSession, held: Run, base: Run, validators: Validators, *, attempts: int) -> None:
    """End the run because its listing is the one of another run, which the catalog has applied; nothing is told.

    Raises:
        LeaseLostError: somebody else has it.
    """
    run = await runs.lock_held_run(session, held)
    await runs.save_run(session, run.leave(base, validators, datetime.now(UTC), attempts))


async def cancel_run(session: AsyncSession, run_id: UUID, by: str) -> Run:
    """Give up a run that is waiting or fetching; asked again, that has been done.

    Raises:
        RunNotFoundError: there is no such run.
        NotCancellableError: it has ended, or its listing has come.
    """
    run = await runs.lock_run(session, run_id)
    if run is None:
        raise RunNotFoundError(run_id)
    if run.status == Status.CANCELLED:
        return run
    if run.status not in {Status.REQUESTED, Status.FETCHING}:
        raise NotCancellableError(run_id, run.status)
    cancelled = run.cancel(by, datetime.now(UTC))
    await runs.save_run(session, cancelled)
    return cancelled


async def fail_stuck_runs(session: AsyncSession, longest: timedelta) -> list[Run]:
    """Give up the runs that have not moved for so long, and tell; answer them."""
    stuck = await runs.lock_stuck_runs(session, datetime.now(UTC) - longest)
    for run in stuck:
        await _fail(session, run, f"{_STUCK[Status(run.status)]} within {longest.total_seconds():g} s", attempts=0)
    return stuck


async def complete_run(
    session: AsyncSession, run_id: UUID, counts: Counts, at: datetime, epoch: UUID | None = None
) -> None:
    """Record that the catalog has applied the listing; runs of which nothing is known are somebody else's."""
    run = await runs.lock_run(session, run_id)
    if run is not None:
        await runs.save_run(session, run.apply(counts, at, epoch))


async def refuse_run(session: AsyncSession, run_id: UUID, reason: str, at: datetime) -> None:
    """Record that the catalog did not apply the listing."""
    run = await runs.lock_run(session, run_id)
    if run is not None:
        await runs.save_run(session, run.refuse(readable(reason), at))


async def forget_old_runs(session: AsyncSession) -> int:
    """Delete runs that ended long ago, but none of the newest of each supplier; answer how many went."""
    return await runs.delete_old(session, keep=KEPT, ended_before=datetime.now(UTC) - KEPT_FOR)


async def _fail(session: AsyncSession, run: Run, reason: str, *, attempts: int) -> None:
    shown = readable(reason)
    await runs.save_run(session, run.fail(shown, datetime.now(UTC), attempts))
    await outbox.record(session, SyncFailed(run_id=run.id, supplier_id=run.supplier_id, reason=shown))


def _new_run(supplier: SupplierRecord, cause: Cause, at: datetime, known: CatalogPoint) -> Run:
    return Run(
        id=new_id(),
        supplier_id=supplier.id,
        supplier_name=supplier.name,
        cause=cause,
        requested_at=at,
        # Another replica may not have heard of the supplier yet.
        catalog_epoch=known.epoch,
        catalog_revision=known.revision,
    )


def _is_due(supplier: SupplierRecord, newest: Run | None, now: datetime) -> bool:
    if supplier.sync_interval_s <= 0:
        return False
    if newest is None:
        return True
    if newest.status in {Status.REQUESTED, Status.FETCHING}:
        return False
    return due_at(newest.requested_at, newest.id, supplier.sync_interval_s) <= now
