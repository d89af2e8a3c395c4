"""Timed work: workers that bring runs to their end, the schedule, and forgetting what is old."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from structlog.contextvars import bound_contextvars

from modelbus.chassis import database_outages, outages
from modelbus.chassis.database import Database
from modelbus.chassis.last_resort import attempt
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import repeat
from modelbus.chassis.outbox import KEPT, Outbox
from modelbus.sync.actions import listings, runs
from modelbus.sync.actions.intake import Intake
from modelbus.sync.clients.answers import Delivery
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.domain.errors import LeaseLostError
from modelbus.sync.domain.runs import CatalogPoint, Run
from modelbus.sync.store import raw_listings

POLL_S = 1.0
LOOK_S = 1.0
"""A worker finds within so long that its run was cancelled, and notes how far it is."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a worker goes about its runs."""

    lease_s: float
    """Each is held for so long; the lease is renewed while the worker lives."""
    most_at_once: int
    """So many may be under way, in whatever replica."""


class Worker:
    """Brings runs to their end, one after another; `known` answers what is known of the catalog."""

    def __init__(
        self,
        database: Database,
        name_of: Callable[[UUID], str | None],
        intake: Intake,
        *,
        terms: Terms,
        known: Callable[[], CatalogPoint],
        wake: asyncio.Event,
    ) -> None:
        self._database = database
        self._name_of = name_of
        self._intake = intake
        self._terms = terms
        self._known = known
        self._wake = wake

    async def work(self) -> None:
        """Do what there is to do, then wait until somebody wakes us, or for a moment; to be repeated."""
        self._wake.clear()
        while await self._work_once():
            pass
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()

    async def _work_once(self) -> bool:
        # Not cancelled with us: a commit that is under way when the service stops has given us a run, or has not.
        taking = asyncio.ensure_future(self._take())
        try:
            run = await asyncio.shield(taking)
            if run is None:
                return False
            with bound_contextvars(correlation_id=str(run.id), run_id=str(run.id), supplier=run.supplier_name):
                await attempt(self._bring_to_end(run), partial(self._own_up, run))
        except LeaseLostError as error:
            log.warning("a run is in other hands", error=str(error))
        except asyncio.CancelledError:
            # Nobody need wait until the lease has run out.
            with suppress(LeaseLostError, *outages.OUTAGES, *database_outages.OUTAGES):
                if (held := await taking) is not None:
                    async with self._database.transaction() as session:
                        await runs.release_run(session, held)
            raise
        return True

    async def _take(self) -> Run | None:
        async with self._database.transaction() as session:
            return await runs.take_run(
                session,
                lease_s=self._terms.lease_s,
                known=self._known(),
                name_of=self._name_of,
                most_at_once=self._terms.most_at_once,
            )

    async def _own_up(self, run: Run, error: Exception) -> None:
        """End the run by a fault of ours: what one supplier answers must never stop the listings of the others."""
        if isinstance(error, LeaseLostError) or outages.is_outage(error):
            raise error
        log.error("a listing failed by a fault of ours", run_id=str(run.id), exc_info=error)
        async with self._database.transaction() as session:
            await runs.fail_run(session, run, f"a fault of ours: {type(error).__name__}", attempts=1)

    async def _bring_to_end(self, run: Run) -> None:
        """Take the listing in while the lease is ours; when it is lost or the run cancelled, nothing more is read."""
        delivery = Delivery()
        taking = asyncio.ensure_future(self._intake.take_in(run, delivery))
        every_s = min(self._terms.lease_s / 3, LOOK_S)
        renewing = asyncio.ensure_future(repeat("lease", lambda: self._renew(run, delivery), every_s=every_s))
        try:
            await asyncio.wait({taking, renewing}, return_when=asyncio.FIRST_COMPLETED)
            # The lease ends with the run, so it is no loss where both are done.
            await (taking if taking.done() else renewing)
        finally:
            for task in (taking, renewing):
                task.cancel()
            await asyncio.gather(taking, renewing, return_exceptions=True)

    async def _renew(self, run: Run, delivery: Delivery) -> None:
        pages, size = delivery.pages, delivery.size
        async with self._database.transaction() as session:
            await runs.renew_lease(session, run, lease_s=self._terms.lease_s, pages=pages, size=size)


async def fail_stuck(database: Database, longest: timedelta) -> None:
    """Give up the runs that have not moved for so long; whoever waits for one of them is told."""
    async with database.transaction() as session:
        stuck = await runs.fail_stuck_runs(session, longest)
    for run in stuck:
        log.error("a run is stuck and given up", run_id=str(run.id), supplier=run.supplier_name, status=run.status)


async def schedule_runs(database: Database, directory: Directory, wake: asyncio.Event, known: CatalogPoint) -> None:
    """Ask for the listings that are due; suppliers that can't be asked are passed over."""
    askable = [supplier for supplier in directory.suppliers() if directory.why_not_askable(supplier.id) is None]
    if not any(supplier.sync_interval_s for supplier in askable):
        return
    async with database.transaction() as session:
        due = await runs.request_due_listings(session, askable, wake, known)
    if due:
        log.info("listings are due", runs=[str(run_id) for run_id in due])


async def forget_old(database: Database, outbox: Outbox, *, raw_kept: int = 0) -> None:
    """Delete listings, runs and told events that are no longer needed; of raw listings all but the last few."""
    async with database.transaction() as session:
        gone_listings = await listings.forget_old_listings(session)
        await raw_listings.delete_old(session, keep=raw_kept)
        gone_runs = await runs.forget_old_runs(session)
        await outbox.forget(session, before=datetime.now(UTC) - KEPT)
    if gone_listings or gone_runs:
        log.info("old listings and runs are forgotten", listings=gone_listings, runs=gone_runs)
