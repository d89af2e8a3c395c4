"""Listings are normalised, kept, and told to the catalog, which fetches them by claim check."""

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import outbox
from modelbus.contracts.sync import LeftOut, ListedModel, Listing, ListingFetched
from modelbus.sync.domain.runs import Run
from modelbus.sync.store import listings, runs

KEPT = 5
LONGEST_WAIT = timedelta(days=7)
# A supplier that lists a million broken entries shall not fill the table; the run's count is of all of them.
MOST_LEFT_OUT = 1000


def normalise(run: Run, models: list[ListedModel], left_out: list[LeftOut]) -> Listing:
    """Put what was fetched in order of name, and digest it, so that equal listings are equal."""
    ordered = sorted(models, key=lambda model: model.upstream_name)
    digest = hashlib.sha256()
    for model in ordered:
        digest.update(model.model_dump_json().encode() + b"\n")
    return Listing(
        run_id=run.id,
        supplier_id=run.supplier_id,
        digest=digest.hexdigest(),
        models=ordered,
        left_out=left_out[:MOST_LEFT_OUT],
    )


async def keep_listing(session: AsyncSession, held: Run, listing: Listing, *, left_out: int, attempts: int) -> None:
    """Keep the listing for the catalog and tell where it is; `left_out` counts all, kept or not.

    Raises:
        LeaseLostError: another worker has taken the run up since.
    """
    run = await runs.lock_held_run(session, held)
    fetched = run.fetch(digest=listing.digest, listed=len(listing.models), left_out=left_out, attempts=attempts)
    await runs.save_run(session, fetched)
    await tell_listing(session, fetched, listing)


async def tell_listing(session: AsyncSession, run: Run, listing: Listing) -> None:
    """Keep the listing of a run that is written, and tell where it is."""
    await save_listing(session, run, listing)
    await announce_listing(session, run)


async def save_listing(session: AsyncSession, run: Run, listing: Listing) -> None:
    """Keep the listing of a run that is written."""
    entries = [entry.model_dump() for entry in listing.left_out]
    body = listing.model_dump_json().encode()
    await listings.save_listing(session, run, body, entries, datetime.now(UTC))


async def announce_listing(session: AsyncSession, run: Run) -> None:
    """Tell where the kept listing of a fetched run is."""
    told = ListingFetched(
        run_id=run.id,
        supplier_id=run.supplier_id,
        digest=run.digest or "",
        count=run.listed_count or 0,
        listing_url=f"/api/v1/runs/{run.id}/listing",
    )
    await outbox.record(session, told)


async def forget_old_listings(session: AsyncSession) -> int:
    """Delete all but the last few listings of each supplier; answer how many went."""
    return await listings.delete_old(session, keep=KEPT, unanswered_before=datetime.now(UTC) - LONGEST_WAIT)
