"""Runs in PostgreSQL; times of leases are the database's, so that the clocks of replicas need not agree."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.errors import LeaseLostError, RunNotFoundError
from modelbus.sync.domain.runs import UNENDED, CatalogPoint, Run, Status
from modelbus.sync.domain.validators import Validators
from modelbus.sync.store.tables import listings, runs


async def insert_run(session: AsyncSession, run: Run) -> bool:
    """Insert the run; answer False when it is there already."""
    inserted = insert(runs).values(asdict(run)).on_conflict_do_nothing(index_elements=["id"]).returning(runs.c.id)
    return (await session.execute(inserted)).one_or_none() is not None


async def save_run(session: AsyncSession, run: Run) -> None:
    """Write every field of the run."""
    await session.execute(sa.update(runs).where(runs.c.id == run.id).values(asdict(run)))


async def find_run(session: AsyncSession, run_id: UUID) -> Run:
    """Answer the run.

    Raises:
        RunNotFoundError: there is none.
    """
    run = await _one(session, sa.select(runs).where(runs.c.id == run_id))
    if run is None:
        raise RunNotFoundError(run_id)
    return run


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs to list; None means any."""

    supplier_id: UUID | None = None
    status: str | None = None
    cause: str | None = None
    since: datetime | None = None
    """Requested then or later."""
    until: datetime | None = None
    """Requested before."""


async def list_runs(session: AsyncSession, wanted: Wanted, *, limit: int, before: UUID | None) -> list[Run]:
    """List runs, newest first, from before that id on."""
    query = sa.select(runs).order_by(runs.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(runs.c.id < before)
    for name in ("supplier_id", "status", "cause"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(runs.c[name] == value)
    if wanted.since is not None:
        query = query.where(runs.c.requested_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(runs.c.requested_at < wanted.until)
    return [_run(row) for row in await session.execute(query)]


async def newest_runs(session: AsyncSession, supplier_ids: Sequence[UUID]) -> dict[UUID, Run]:
    """Answer the latest requested run of each of the suppliers."""
    asked = sa.func.unnest(sa.cast(list(supplier_ids), ARRAY(sa.Uuid))).table_valued("supplier_id").render_derived()
    of_one = sa.select(runs).where(runs.c.supplier_id == asked.c.supplier_id)
    # One step into the index for each supplier, however long its history.
    newest = of_one.order_by(runs.c.requested_at.desc()).limit(1).lateral("newest")
    rows = await session.execute(sa.select(newest).select_from(asked.join(newest, sa.true())))
    return {row.supplier_id: _run(row) for row in rows}


async def lock_next_run(session: AsyncSession, known: CatalogPoint, most_at_once: int) -> Run | None:
    """Lock the run that has waited longest and may be taken up now, or one whose worker has died.

    None while `most_at_once` are fetching, of whatever replica, or nothing is known. Takers follow one another until
    they commit: two that look at once would find two runs of one supplier, or one too many.
    """
    if known.epoch is None:
        return None
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("sync.take"))))
    is_alive = (runs.c.status == Status.FETCHING) & (runs.c.leased_until >= sa.func.now())
    if (await session.scalar(sa.select(sa.func.count()).select_from(runs).where(is_alive)) or 0) >= most_at_once:
        return None
    other = runs.alias("other")
    is_known = runs.c.catalog_revision <= known.revision
    if known.is_confirmed:
        # After a restore the catalog counts anew: what it asked for before would wait for ever.
        is_known |= runs.c.catalog_epoch != known.epoch
    is_waiting = runs.c.status == Status.REQUESTED
    is_orphaned = (runs.c.status == Status.FETCHING) & (runs.c.leased_until < sa.func.now())
    is_supplier_busy = (
        sa.select(other.c.id)
        .where(other.c.supplier_id == runs.c.supplier_id, other.c.status == Status.FETCHING, other.c.id != runs.c.id)
        .exists()
    )
    query = (
        sa.select(runs)
        .where(is_known, is_waiting | is_orphaned, ~is_supplier_busy)
        .order_by(runs.c.requested_at, runs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=runs)
    )
    return await _one(session, query)


async def lock_held_run(session: AsyncSession, held: Run) -> Run:
    """Lock the run that a worker holds.

    Raises:
        LeaseLostError: another worker has taken it up since.
    """
    run = await lock_run(session, held.id)
    if run is None or (run.status, run.times_taken) != (Status.FETCHING, held.times_taken):
        raise LeaseLostError(f"run '{held.id}' was taken up by another worker")
    return run


async def lock_run(session: AsyncSession, run_id: UUID) -> Run | None:
    """Lock the run; None if there is none."""
    return await _one(session, sa.select(runs).where(runs.c.id == run_id).with_for_update())


async def is_newer_on_its_way(session: AsyncSession, run: Run) -> bool:
    """Tell whether the catalog has yet to answer to a listing of the supplier that was asked for later."""
    newer = sa.select(runs.c.id).where(
        runs.c.supplier_id == run.supplier_id,
        runs.c.status == Status.FETCHED,
        runs.c.requested_at > run.requested_at,
    )
    return bool(await session.scalar(sa.select(newer.exists())))


async def newest_validators(session: AsyncSession, base: Run) -> Validators:
    """Answer what the listing of the run was known by when it was last seen; a server may tell it anew each time."""
    seen = (
        sa.select(runs.c.etag, runs.c.last_modified, runs.c.body_digest)
        .where(
            runs.c.supplier_id == base.supplier_id,
            runs.c.status.in_((Status.APPLIED, Status.UNCHANGED)),
            runs.c.digest == base.digest,
            runs.c.mark == base.mark,
        )
        .order_by(runs.c.requested_at.desc())
        .limit(1)
    )
    row = (await session.execute(seen)).one_or_none()
    return Validators() if row is None else Validators(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def lock_stuck_runs(session: AsyncSession, before: datetime) -> list[Run]:
    """Lock the runs that have stood where they stand since before that time."""
    since = sa.func.greatest(
        runs.c.requested_at,
        sa.case((runs.c.status != Status.REQUESTED, runs.c.started_at)),
        runs.c.decided_at,
    )
    query = sa.select(runs).where(runs.c.status.in_(UNENDED), since < before).order_by(runs.c.id)
    found = await session.execute(query.with_for_update(skip_locked=True))
    return [_run(row) for row in found]


async def delete_old(session: AsyncSession, *, keep: int, ended_before: datetime) -> int:
    """Delete runs that ended before that time, and answer how many went.

    The last `keep` of each supplier stay, and those whose listing is kept.
    """
    newer = runs.alias("newer")
    last_to_stay = (
        sa.select(newer.c.requested_at)
        .where(newer.c.supplier_id == runs.c.supplier_id)
        .order_by(newer.c.requested_at.desc())
        .offset(keep - 1)
        .limit(1)
        .scalar_subquery()
    )
    is_listing_kept = sa.select(listings.c.run_id).where(listings.c.run_id == runs.c.id).exists()
    old = (runs.c.ended_at < ended_before) & (runs.c.requested_at < last_to_stay) & ~is_listing_kept
    return len((await session.execute(sa.delete(runs).where(old).returning(runs.c.id))).all())


async def try_schedule_lock(session: AsyncSession) -> bool:
    """Become the only replica that schedules, until the transaction ends; False if another one does."""
    lock = sa.select(sa.func.pg_try_advisory_xact_lock(sa.func.hashtext("sync.schedule")))
    return bool(await session.scalar(lock))


async def lease_end(session: AsyncSession, lease_s: float) -> datetime:
    """Answer the end of a lease that begins now."""
    end = await session.scalar(sa.select(sa.func.now() + timedelta(seconds=lease_s)))
    assert isinstance(end, datetime)  # noqa: S101 - PostgreSQL always knows the time
    return end


async def _one(session: AsyncSession, query: sa.Select[Any]) -> Run | None:
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _run(row)


def _run(row: sa.Row[Any]) -> Run:
    return Run(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
