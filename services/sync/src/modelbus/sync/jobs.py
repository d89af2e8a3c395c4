"""Timed work: workers that bring runs to their end, the schedule, and forgetting what is old."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from structlog.contextvars import bound_contextvars

from modelbus.chassis.database import Database
from modelbus.chassis.last_resort import attempt
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import OUTAGES, is_outage, repeat, stop
from modelbus.chassis.outbox import Outbox
from modelbus.contracts.sync import ListedModel
from modelbus.sync.actions import listings, prices, reviews, runs
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.clients.suppliers import Answered, Suppliers
from modelbus.sync.domain.errors import FetchFailedError, LeaseLostError
from modelbus.sync.domain.runs import CatalogPoint, Run
from modelbus.sync.domain.suspicions import Thresholds

POLL_S = 1.0
OUTBOX_KEPT = timedelta(days=7)

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a worker goes about its runs."""

    lease_s: float
    """Each is held for so long; the lease is renewed while the worker lives."""
    price_jump_factor: float
    thresholds: Thresholds
    """Of the guard."""


class Worker:
    """Brings runs to their end, one after another; `known` answers what is known of the catalog."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        suppliers: Suppliers,
        *,
        terms: Terms,
        known: Callable[[], CatalogPoint],
        wake: asyncio.Event,
    ) -> None:
        self._database = database
        self._directory = directory
        self._suppliers = suppliers
        self._lease_s = terms.lease_s
        self._known = known
        self._wake = wake
        self._price_jump_factor = terms.price_jump_factor
        self._thresholds = terms.thresholds

    async def work(self) -> None:
        """Do what there is to do, then wait until somebody wakes us, or for a moment; to be repeated."""
        self._wake.clear()
        while await self._work_once():
            pass
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self._wake.wait()

    async def _work_once(self) -> bool:
        async with self._database.transaction() as session:
            run = await runs.take_run(
                session,
                lease_s=self._lease_s,
                known=self._known(),
                name_of=self._directory.name_of,
            )
        if run is None:
            return False
        try:
            with bound_contextvars(correlation_id=str(run.id)):
                await attempt(self._fetch(run), lambda error: self._own_up(run, error))
        except LeaseLostError as error:
            log.warning("a run was taken over by another worker", run_id=str(run.id), error=str(error))
        except asyncio.CancelledError:
            # The service stops: nobody need wait until the lease has run out.
            with suppress(LeaseLostError, *OUTAGES):
                async with self._database.transaction() as session:
                    await runs.release_run(session, run)
            raise
        return True

    async def _own_up(self, run: Run, error: Exception) -> None:
        """End the run by a fault of ours: what one supplier answers must never stop the listings of the others."""
        if isinstance(error, LeaseLostError) or is_outage(error):
            raise error
        log.error("a listing failed by a fault of ours", run_id=str(run.id), exc_info=error)
        async with self._database.transaction() as session:
            await runs.fail_run(session, run, f"a fault of ours: {type(error).__name__}", attempts=1)

    async def _fetch(self, run: Run) -> None:
        try:
            answered = await self._ask(run)
        except FetchFailedError as error:
            log.warning("a listing can't be had", run_id=str(run.id), supplier=run.supplier_name, reason=str(error))
            async with self._database.transaction() as session:
                await runs.fail_run(session, run, str(error), attempts=error.attempts)
            return
        fetched = answered.fetched
        models = await self._review(run, fetched.models)
        listing = await asyncio.to_thread(listings.normalise, run, models, fetched.left_out)
        left_out = len(fetched.left_out)
        async with self._database.transaction() as session:
            verdict = await reviews.judge(session, listing, self._thresholds)
            if verdict.reasons:
                await reviews.quarantine_listing(
                    session, run, listing, verdict, left_out=left_out, attempts=answered.attempts
                )
            else:
                await listings.keep_listing(session, run, listing, left_out=left_out, attempts=answered.attempts)
        if verdict.reasons:
            log.warning("a listing is quarantined", run_id=str(run.id), reasons=verdict.reasons)
            return
        log.info("a listing is fetched", run_id=str(run.id), models=len(listing.models), left_out=left_out)

    async def _review(self, run: Run, models: list[ListedModel]) -> list[ListedModel]:
        """Hold the prices that are in doubt."""
        names = [model.upstream_name for model in models]
        async with self._database.reading() as session:
            known = await prices.known_prices(session, run.supplier_id, names, self._directory.public_name)
        return await asyncio.to_thread(prices.review_prices, models, known, self._price_jump_factor)

    async def _ask(self, run: Run) -> Answered:
        supplier, credentials = self._directory.askable(run.supplier_id)
        renewing = asyncio.create_task(repeat("lease", lambda: self._renew(run), every_s=self._lease_s / 3))
        try:
            return await self._suppliers.fetch_listing(supplier, credentials)
        finally:
            await stop([renewing])

    async def _renew(self, run: Run) -> None:
        async with self._database.transaction() as session:
            await runs.renew_lease(session, run, lease_s=self._lease_s)


async def schedule_runs(database: Database, directory: Directory, wake: asyncio.Event) -> None:
    """Ask for the listings that are due; suppliers that can't be asked are passed over."""
    askable = [supplier for supplier in directory.suppliers() if directory.why_not_askable(supplier.id) is None]
    if not any(supplier.sync_interval_s for supplier in askable):
        return
    async with database.transaction() as session:
        due = await runs.request_due_listings(session, askable, wake)
    if due:
        log.info("listings are due", runs=[str(run_id) for run_id in due])


async def forget_old(database: Database, outbox: Outbox) -> None:
    """Delete listings, runs and told events that are no longer needed."""
    async with database.transaction() as session:
        gone_listings = await listings.forget_old_listings(session)
        gone_runs = await runs.forget_old_runs(session)
        await outbox.forget(session, before=datetime.now(UTC) - OUTBOX_KEPT)
    if gone_listings or gone_runs:
        log.info("old listings and runs are forgotten", listings=gone_listings, runs=gone_runs)
