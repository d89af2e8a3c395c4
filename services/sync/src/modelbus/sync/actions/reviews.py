"""A suspicious listing is kept back; an administrator sees what it would change, then applies or discards it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import outbox
from modelbus.contracts.sync import ListedModel, Listing, SyncQuarantined
from modelbus.sync.actions.listings import Arrival, announce_listing, save_listing, save_raw
from modelbus.sync.actions.prices import amounts_of
from modelbus.sync.domain.errors import NotQuarantinedError, ReviewOutdatedError, RunNotFoundError
from modelbus.sync.domain.price_review import PER_TOKENS
from modelbus.sync.domain.runs import Run, Status
from modelbus.sync.domain.suspicions import Entries, Offered, Thresholds, why_suspicious
from modelbus.sync.store import listings, runs
from modelbus.sync.store.known_prices import newest_applied
from modelbus.sync.store.offered import find_offered


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the guard says of a listing, beside the run whose listing was applied last."""

    base_run_id: UUID | None
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """What would become of one model; `fields` has the old and the new value of what a change is about."""

    upstream_name: str
    change: str
    fields: Mapping[str, tuple[Any, Any]]


async def judge(session: AsyncSession, arrival: Arrival, thresholds: Thresholds) -> Verdict:
    """Compare the listing with the last one that was applied; the same again is above suspicion."""
    listing = arrival.listing
    base_run_id = await newest_applied(session, listing.supplier_id)
    before: Offered | None = None
    if base_run_id is not None:
        if (await runs.find_run(session, base_run_id)).digest == listing.digest:
            return Verdict(base_run_id, [])
        before = await find_offered(session, base_run_id)
    # A name that a rule leaves out is not gone, and one that no rule leaves out any more is not new.
    listed: Offered = {each.upstream_name: _token_prices(each) for each in listing.models}
    listed = {**listed, **{name: {} for name in listing.ignored}}
    delivered = len(listed) + arrival.left_out
    doubles = sum(entry.upstream_name in listed for entry in listing.left_out)
    entries = Entries(delivered=delivered, declared=arrival.declared, doubles=doubles)
    return Verdict(base_run_id, why_suspicious(listed, before, entries, thresholds))


async def quarantine_listing(session: AsyncSession, held: Run, arrival: Arrival, verdict: Verdict) -> None:
    """Keep the listing from the catalog and tell why.

    Raises:
        LeaseLostError: another worker has taken the run up since.
    """
    run = await runs.lock_held_run(session, held)
    fetched = run.fetch(arrival.findings, arrival.attempts)
    await runs.save_run(session, fetched.quarantine(verdict.reasons, verdict.base_run_id, datetime.now(UTC)))
    await save_raw(session, run, arrival.raw)
    await save_listing(session, run, arrival.listing)
    count = len(arrival.listing.models)
    told = SyncQuarantined(run_id=run.id, supplier_id=run.supplier_id, reasons=verdict.reasons, count=count)
    await outbox.record(session, told)


async def compare(session: AsyncSession, run: Run) -> list[Difference]:
    """Answer what the run's listing says otherwise than the one it was judged by, in order of name.

    Raises:
        ListingNotKeptError: one of the two is not kept any more.
    """
    return differences(await listing_of(session, run.base_run_id), await listing_of(session, run.id))


def differences(base: Listing | None, listing: Listing | None) -> list[Difference]:
    """Answer what the one listing says otherwise than the other, in order of name; ignored names are no difference."""
    before, after = _models_of(base), _models_of(listing)
    passed_over = {*listing.ignored} if listing else set()
    found = [
        _difference(name, before.get(name), after.get(name))
        for name in sorted((before.keys() | after.keys()) - passed_over)
    ]
    return [difference for difference in found if difference is not None]


async def listing_of(session: AsyncSession, run_id: UUID | None) -> Listing | None:
    """Answer the listing of the run; None without a run.

    Raises:
        ListingNotKeptError: it is not kept any more.
    """
    return None if run_id is None else Listing.model_validate_json(await listings.read_listing(session, run_id))


async def apply_quarantined(session: AsyncSession, run_id: UUID, by: str) -> Run:
    """Hand the listing to the catalog after all; asked again, that has been done.

    Raises:
        RunNotFoundError: there is no such run.
        NotQuarantinedError: it never was in quarantine, or was discarded or cancelled.
        ReviewOutdatedError: another listing of the supplier was applied since it was judged, or is on its way.
        ListingNotKeptError: newer ones have taken its place.
    """
    run = await _lock(session, run_id)
    if run.decided_by is not None and run.status not in {Status.DISCARDED, Status.CANCELLED}:
        return run
    if run.status != Status.QUARANTINED:
        raise NotQuarantinedError(run_id, run.status)
    newest = await newest_applied(session, run.supplier_id)
    if newest != run.base_run_id or await runs.is_newer_on_its_way(session, run):
        raise ReviewOutdatedError(run_id)
    await listings.read_listing(session, run_id)
    approved = run.approve(by, datetime.now(UTC))
    await runs.save_run(session, approved)
    await announce_listing(session, approved)
    return approved


async def discard_quarantined(session: AsyncSession, run_id: UUID, by: str) -> Run:
    """Leave the catalog as it is for good; asked again, that has been done.

    Raises:
        RunNotFoundError: there is no such run.
        NotQuarantinedError: it never was in quarantine, or was applied.
    """
    run = await _lock(session, run_id)
    if run.status == Status.DISCARDED:
        return run
    if run.status != Status.QUARANTINED:
        raise NotQuarantinedError(run_id, run.status)
    discarded = run.discard(by, datetime.now(UTC))
    await runs.save_run(session, discarded)
    return discarded


async def _lock(session: AsyncSession, run_id: UUID) -> Run:
    run = await runs.lock_run(session, run_id)
    if run is None:
        raise RunNotFoundError(run_id)
    return run


def _models_of(listing: Listing | None) -> dict[str, ListedModel]:
    return {model.upstream_name: model for model in listing.models} if listing else {}


def _token_prices(model: ListedModel) -> dict[str, Any]:
    amounts = amounts_of(model.held.listed if model.held else model.cost)
    return {price: amount for price, amount in amounts.items() if price in PER_TOKENS}


def _difference(name: str, before: ListedModel | None, after: ListedModel | None) -> Difference | None:
    if before is None or after is None:
        return Difference(name, "added" if before is None else "removed", {})
    if before == after:
        return None
    old, new = before.model_dump(mode="json"), after.model_dump(mode="json")
    return Difference(name, "changed", {field: (old[field], new[field]) for field in old if old[field] != new[field]})
