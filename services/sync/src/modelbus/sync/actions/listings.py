"""Listings are normalised, kept, and told to the catalog, which fetches them by claim check."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import outbox
from modelbus.contracts.sync import Background, LeftOut, ListedModel, Listing, ListingFetched
from modelbus.sync.domain.runs import Findings, Run
from modelbus.sync.domain.validators import Validators
from modelbus.sync.store import listings, raw_listings, runs

KEPT = 5
LONGEST_WAIT = timedelta(days=7)
# A supplier that lists a million broken entries shall not fill the table; the run's count is of all of them.
MOST_LEFT_OUT = 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """A normalised listing, and how it came."""

    listing: Listing
    left_out: int
    """Entries that did not become models, kept with the listing or not."""
    attempts: int
    declared: int | None = None
    """Entries that the supplier says there are."""
    pages: int | None = None
    size: int | None = None
    """Bytes of all pages."""
    validators: Validators = field(default_factory=Validators)
    mark: str | None = None
    raw: bytes | None = None
    """What the supplier answered, packed; None where it isn't kept."""

    @property
    def findings(self) -> Findings:
        """Answer what is written of it with the run."""
        return Findings(
            digest=self.listing.digest,
            listed_count=len(self.listing.models),
            left_out_count=self.left_out,
            ignored_count=len(self.listing.ignored),
            held_prices_count=sum(model.held is not None for model in self.listing.models),
            declared_count=self.declared,
            pages_read=self.pages,
            bytes_read=self.size,
            mark=self.mark,
            **asdict(self.validators),
        )


def normalise(
    run: Run,
    models: list[ListedModel],
    left_out: list[LeftOut],
    ignored: Iterable[str] = (),
    background: Iterable[Background] = (),
) -> Listing:
    """Put what was fetched in order of name, and digest it, so that equal listings are equal."""
    ordered = sorted(models, key=lambda model: model.upstream_name)
    passed_over = sorted(ignored)
    beside = sorted(background, key=lambda each: each.upstream_name)
    digest = hashlib.sha256()
    for model in ordered:
        digest.update(model.model_dump_json().encode() + b"\n")
    for name in passed_over:
        digest.update(name.encode() + b"\n")
    for each in beside:
        digest.update(each.model_dump_json().encode() + b"\n")
    return Listing(
        run_id=run.id,
        supplier_id=run.supplier_id,
        digest=digest.hexdigest(),
        models=ordered,
        left_out=left_out[:MOST_LEFT_OUT],
        ignored=passed_over,
        background=beside,
    )


async def keep_listing(session: AsyncSession, held: Run, arrival: Arrival) -> None:
    """Keep the listing for the catalog and tell where it is.

    Raises:
        LeaseLostError: another worker has taken the run up since.
    """
    run = await runs.lock_held_run(session, held)
    fetched = run.fetch(arrival.findings, arrival.attempts)
    await runs.save_run(session, fetched)
    await save_raw(session, run, arrival.raw)
    await tell_listing(session, fetched, arrival.listing)


async def tell_listing(session: AsyncSession, run: Run, listing: Listing) -> None:
    """Keep the listing of a run that is written, and tell where it is."""
    await save_listing(session, run, listing)
    await announce_listing(session, run)


async def save_listing(session: AsyncSession, run: Run, listing: Listing) -> None:
    """Keep the listing of a run that is written."""
    entries = [entry.model_dump() for entry in listing.left_out]
    body = listing.model_dump_json().encode()
    await listings.save_listing(session, run, body, entries, datetime.now(UTC))


async def save_raw(session: AsyncSession, run: Run, raw: bytes | None) -> None:
    """Keep what the supplier answered, if it is to be kept."""
    if raw is not None:
        await raw_listings.save_raw(session, run, raw, datetime.now(UTC))


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
