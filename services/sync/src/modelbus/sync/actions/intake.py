"""From a run that is taken up to a listing that is kept, in quarantine, or found to be the one that the catalog has."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from uuid import UUID

from modelbus.chassis.database import Database
from modelbus.chassis.logs import logger
from modelbus.contracts.sync import Background, ListedModel
from modelbus.sync.actions import listings, prices, reviews, runs
from modelbus.sync.actions.enrichment import enrich, reference_prices
from modelbus.sync.actions.listings import Arrival
from modelbus.sync.actions.metadata import Library
from modelbus.sync.actions.refusals import Refusals
from modelbus.sync.clients.answers import Delivery
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.clients.entries import Fetched
from modelbus.sync.clients.replay import pack
from modelbus.sync.clients.suppliers import Answered, Suppliers
from modelbus.sync.domain.conditions import is_settled, mark_of
from modelbus.sync.domain.errors import FetchFailedError
from modelbus.sync.domain.ignore_rules import Ignoring
from modelbus.sync.domain.metadata import Shelf
from modelbus.sync.domain.runs import CatalogPoint, Cause, Run
from modelbus.sync.domain.suspicions import Thresholds
from modelbus.sync.domain.validators import Validators
from modelbus.sync.store.guards import find_guard
from modelbus.sync.store.ignore_rules import ignoring
from modelbus.sync.store.known_prices import newest_applied
from modelbus.sync.store.runs import find_run, is_newer_on_its_way, newest_validators

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class IntakeTerms:
    """How listings are judged and kept."""

    price_jump_factor: float
    thresholds: Thresholds
    """Of the guard, where a supplier has none of its own."""
    whole_every: timedelta
    """A listing is handed to the catalog at least so often, though it be unchanged."""
    raw_kept: int
    """Answers of each supplier that are kept as they came."""
    raw_max_bytes: int
    """Longer ones, once packed, are not kept."""


@dataclass(frozen=True, slots=True)
class _Standing:
    """What is known before a supplier is asked."""

    mark: str
    ignoring: Ignoring
    thresholds: Thresholds
    base: Run | None = None
    """The run whose listing need not be handed on again; None where it must."""
    validators: Validators | None = None
    """What its listing is known by."""


class Intake:
    """Takes listings in; `known` answers what is known of the catalog."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        suppliers: Suppliers,
        library: Library,
        *,
        terms: IntakeTerms,
        known: Callable[[], CatalogPoint],
    ) -> None:
        self._database = database
        self._directory = directory
        self._suppliers = suppliers
        self._library = library
        self._terms = terms
        self._known = known
        self.refusals = Refusals()

    async def take_in(self, run: Run, delivery: Delivery) -> None:
        """Ask the supplier, and bring the run to where the catalog is next or to its end; `delivery` shows what came.

        Raises:
            LeaseLostError: another worker has taken the run up since.
        """
        standing = await self._standing(run)
        try:
            supplier, credentials = self._directory.askable(run.supplier_id)
            answered = await self._suppliers.fetch_listing(
                supplier, credentials, known=standing.validators, delivery=delivery
            )
        except FetchFailedError as error:
            await self._fail(run, error, delivery)
            return
        finally:
            self.refusals.note(run.supplier_id, delivery.refused)
        if answered.fetched is None and standing.base is not None:
            known = delivery.validators if delivery.pages else standing.validators or Validators()
            await self._leave(run, standing.base, known, answered.attempts)
            return
        arrival = await self._read(run, standing, answered, delivery)
        if standing.base is not None and arrival.listing.digest == standing.base.digest:
            await self._leave(run, standing.base, arrival.validators, arrival.attempts)
            return
        await self._keep(run, arrival, standing.thresholds)

    async def rehearse(self, run: Run, fetched: Fetched, declared: int | None) -> tuple[Arrival, reviews.Verdict]:
        """Read a listing as if it came now, and answer what the guard says of it; nothing is written."""
        standing = await self._standing(run)
        arrival = await self._normalise(run, standing, fetched)
        arrival = replace(arrival, declared=declared)
        async with self._database.reading() as session:
            return arrival, await reviews.judge(session, arrival, standing.thresholds)

    async def _standing(self, run: Run) -> _Standing:
        filed = await self._library.mark()
        async with self._database.reading() as session:
            ignored = await ignoring(session, run.supplier_id)
            guard = await find_guard(session, run.supplier_id)
            thresholds = guard.over(self._terms.thresholds) if guard else self._terms.thresholds
            # A later version of the adapters may read more from the same listing.
            mark = mark_of(version("modelbus-sync"), self._directory.mark(run.supplier_id), ignored.mark, filed)
            base_id = await newest_applied(session, run.supplier_id)
            # Whoever asks wants to see the catalog as the listing has it; only the schedule may pass over it.
            if base_id is None or run.cause != Cause.SCHEDULE:
                return _Standing(mark, ignored, thresholds)
            base = await find_run(session, base_id)
            is_same = is_settled(base, mark, self._known().epoch, datetime.now(UTC), self._terms.whole_every)
            if not is_same or await is_newer_on_its_way(session, base):
                return _Standing(mark, ignored, thresholds)
            return _Standing(mark, ignored, thresholds, base, await newest_validators(session, base))

    async def _read(self, run: Run, standing: _Standing, answered: Answered, delivery: Delivery) -> Arrival:
        fetched, raw = answered.fetched or Fetched([], []), await self._pack(delivery)
        arrival = await self._normalise(run, standing, fetched)
        return replace(
            arrival,
            attempts=answered.attempts,
            declared=delivery.declared,
            pages=delivery.pages,
            size=delivery.size,
            validators=delivery.validators,
            raw=raw,
        )

    async def _normalise(self, run: Run, standing: _Standing, fetched: Fetched) -> Arrival:
        """Leave out what is ignored, hold prices that are in doubt, and put the rest in order."""
        ignored = [each.upstream_name for each in fetched.models if each.upstream_name in standing.ignoring]
        passed_over = {*ignored}
        models = [each for each in fetched.models if each.upstream_name not in passed_over]
        shelves, supplier = await self._library.shelves(), self._directory.supplier(run.supplier_id)
        models = await self._review(run.supplier_id, models, shelves)
        background: list[Background] = []
        if supplier is not None:
            models, background = await asyncio.to_thread(enrich, shelves, supplier, models)
        listing = await asyncio.to_thread(listings.normalise, run, models, fetched.left_out, ignored, background)
        return Arrival(listing, left_out=len(fetched.left_out), attempts=0, mark=standing.mark)

    async def _review(
        self, supplier_id: UUID, models: list[ListedModel], shelves: Sequence[Shelf]
    ) -> list[ListedModel]:
        """Hold the prices that are in doubt."""
        names = [model.upstream_name for model in models]
        async with self._database.reading() as session:
            known = await prices.known_prices(session, supplier_id, names, self._directory.public_name)
        if (supplier := self._directory.supplier(supplier_id)) is not None:
            filed = await asyncio.to_thread(reference_prices, shelves, supplier, names)
            # What suppliers themselves say goes before what is said of them.
            known = replace(known, elsewhere={**filed, **known.elsewhere})
        return await asyncio.to_thread(prices.review_prices, models, known, self._terms.price_jump_factor)

    async def _keep(self, run: Run, arrival: Arrival, thresholds: Thresholds) -> None:
        async with self._database.transaction() as session:
            verdict = await reviews.judge(session, arrival, thresholds)
            if verdict.reasons:
                await reviews.quarantine_listing(session, run, arrival, verdict)
            else:
                await listings.keep_listing(session, run, arrival)
        if verdict.reasons:
            log.warning("a listing is quarantined", run_id=str(run.id), reasons=verdict.reasons)
        else:
            count = len(arrival.listing.models)
            log.info("a listing is fetched", run_id=str(run.id), models=count, left_out=arrival.left_out)

    async def _leave(self, run: Run, base: Run, validators: Validators, attempts: int) -> None:
        async with self._database.transaction() as session:
            await runs.leave_run(session, run, base, validators, attempts=attempts)
        log.info("a listing is unchanged", run_id=str(run.id), base_run_id=str(base.id))

    async def _fail(self, run: Run, error: FetchFailedError, delivery: Delivery) -> None:
        log.warning("a listing can't be had", run_id=str(run.id), supplier=run.supplier_name, reason=str(error))
        raw = await self._pack(delivery)
        async with self._database.transaction() as session:
            await runs.fail_run(session, run, str(error), attempts=error.attempts)
            await listings.save_raw(session, run, raw)

    async def _pack(self, delivery: Delivery) -> bytes | None:
        answers = delivery.hand_over()
        return await asyncio.to_thread(pack, answers, self._terms.raw_max_bytes) if self._terms.raw_kept else None
