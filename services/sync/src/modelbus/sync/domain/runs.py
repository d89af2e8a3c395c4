"""A run is one attempt to learn what a supplier offers, from the request to the catalog's answer."""

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from modelbus.sync.domain.validators import Validators

MOST_LOSSES = 5
KEPT_FOR = timedelta(days=90)
"""How long a run that has ended is remembered at least."""


class Cause(StrEnum):
    """Who asked."""

    ADMINISTRATOR = "administrator"
    CREDENTIAL = "credential"
    SCHEDULE = "schedule"


class Status(StrEnum):
    """How far it is."""

    REQUESTED = "requested"
    FETCHING = "fetching"
    FETCHED = "fetched"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"
    APPLIED = "applied"
    REFUSED = "refused"
    FAILED = "failed"
    UNCHANGED = "unchanged"
    CANCELLED = "cancelled"


UNENDED = (Status.REQUESTED, Status.FETCHING, Status.FETCHED)


@dataclass(frozen=True, slots=True)
class Counts:
    """What the catalog made of a listing, in sources."""

    added: int
    changed: int
    removed: int
    held: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What a listing turned out to be."""

    digest: str
    listed_count: int
    left_out_count: int
    ignored_count: int = 0
    held_prices_count: int = 0
    declared_count: int | None = None
    pages_read: int | None = None
    bytes_read: int | None = None
    etag: str | None = None
    last_modified: str | None = None
    body_digest: str | None = None
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class CatalogPoint:
    """A point in the catalog's history; revisions of different epochs can't be compared."""

    epoch: UUID | None
    """None before anything is known."""
    revision: int
    is_confirmed: bool = True
    """False while nobody has said that the catalog is there, as of what was kept on disk."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run; what it has not come to yet is None."""

    id: UUID
    supplier_id: UUID
    cause: str
    requested_at: datetime
    catalog_epoch: UUID | None = None
    catalog_revision: int = 0
    """What was known to whoever asked; a worker that knows less waits."""
    status: str = Status.REQUESTED
    supplier_name: str | None = None
    requested_by: str | None = None
    """Who asked, by name, where somebody did."""
    reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    times_taken: int = 0
    """How often a worker took it up; the number tells the present holder from earlier ones."""
    times_lost: int = 0
    """How often the worker that held it died; one that gives it back does not count."""
    leased_until: datetime | None = None
    attempts: int = 0
    """Requests that the supplier got."""
    pages_read: int | None = None
    bytes_read: int | None = None
    """What has come of its listing, also while it comes."""
    digest: str | None = None
    listed_count: int | None = None
    left_out_count: int | None = None
    ignored_count: int | None = None
    """Entries that a rule leaves out."""
    held_prices_count: int | None = None
    """Models whose prices wait for an administrator."""
    declared_count: int | None = None
    """How many there are by the supplier's own words, if it says so."""
    etag: str | None = None
    last_modified: str | None = None
    body_digest: str | None = None
    mark: str | None = None
    """Of how it was asked for and read; see `conditions`."""
    added: int | None = None
    changed: int | None = None
    removed: int | None = None
    held: int | None = None
    unchanged: int | None = None
    suspicions: list[str] | None = None
    """Why its listing is, or was, kept back."""
    base_run_id: UUID | None = None
    """The run whose listing was applied last when that was judged."""
    decided_by: str | None = None
    """Who applied or discarded it."""
    decided_at: datetime | None = None
    applied_epoch: UUID | None = None
    """Of the catalog that applied it."""

    @property
    def is_hopeless(self) -> bool:
        """Tell whether it has outlived so many workers that it may well be what ends them."""
        return self.times_lost >= MOST_LOSSES

    @property
    def duration_s(self) -> float | None:
        """Answer the seconds from when a worker took it up until it ended; None before."""
        if self.started_at is None or self.ended_at is None:
            return None
        return (self.ended_at - self.started_at).total_seconds()

    @property
    def validators(self) -> Validators:
        """Answer what its listing can be asked for by."""
        return Validators(self.etag, self.last_modified, self.body_digest)

    def take(self, supplier_name: str | None, at: datetime, leased_until: datetime) -> "Run":
        """Give it to a worker."""
        return replace(
            self,
            status=Status.FETCHING,
            supplier_name=supplier_name,
            times_taken=self.times_taken + 1,
            started_at=self.started_at or at,
            leased_until=leased_until,
        )

    def take_longer(self, leased_until: datetime, *, pages: int = 0, size: int = 0) -> "Run":
        """Let the worker keep it, and note how far it is."""
        return replace(self, leased_until=leased_until, pages_read=pages, bytes_read=size)

    def release(self) -> "Run":
        """Let another worker take it at once."""
        return replace(self, status=Status.REQUESTED, leased_until=None)

    def lose(self) -> "Run":
        """Record that the worker died over it, if one had it."""
        return replace(self.release(), times_lost=self.times_lost + 1) if self.status == Status.FETCHING else self

    def fetch(self, findings: Findings, attempts: int) -> "Run":
        """Record that there is a listing; the catalog is next."""
        attempts += self.attempts
        return replace(self, status=Status.FETCHED, leased_until=None, attempts=attempts, **asdict(findings))

    def leave(self, base: "Run", validators: Validators, at: datetime, attempts: int) -> "Run":
        """Record that the listing is the one of that run, which the catalog has applied."""
        return replace(
            self,
            status=Status.UNCHANGED,
            ended_at=at,
            leased_until=None,
            attempts=self.attempts + attempts,
            base_run_id=base.id,
            digest=base.digest,
            listed_count=base.listed_count,
            left_out_count=base.left_out_count,
            ignored_count=base.ignored_count,
            mark=base.mark,
            **asdict(validators),
        )

    def cancel(self, by: str, at: datetime) -> "Run":
        """Give it up because somebody wants it; whoever fetches finds that it is nobody's any more."""
        return replace(
            self, status=Status.CANCELLED, reason=f"cancelled by {by}", decided_by=by, ended_at=at, leased_until=None
        )

    def quarantine(self, suspicions: list[str], base_run_id: UUID | None, at: datetime) -> "Run":
        """Keep its listing back until somebody decides."""
        return replace(
            self,
            status=Status.QUARANTINED,
            reason="; ".join(suspicions),
            suspicions=suspicions,
            base_run_id=base_run_id,
            ended_at=at,
        )

    def approve(self, by: str, at: datetime) -> "Run":
        """Let the catalog have its listing after all."""
        return replace(self, status=Status.FETCHED, reason=None, ended_at=None, decided_by=by, decided_at=at)

    def discard(self, by: str, at: datetime) -> "Run":
        """Leave the catalog as it is; the reason stays."""
        return replace(self, status=Status.DISCARDED, decided_by=by, decided_at=at)

    def fail(self, reason: str, at: datetime, attempts: int = 0) -> "Run":
        """Give it up."""
        return replace(
            self,
            status=Status.FAILED,
            reason=reason,
            ended_at=at,
            leased_until=None,
            attempts=self.attempts + attempts,
        )

    def apply(self, counts: Counts, at: datetime, epoch: UUID | None = None) -> "Run":
        """Record that the catalog has applied the listing, be it after a refusal or when nobody waited any more."""
        is_late = self.status == Status.FAILED and self.digest is not None
        if self.status not in {Status.FETCHED, Status.REFUSED} and not is_late:
            return self
        return replace(
            self,
            status=Status.APPLIED,
            reason=None,
            ended_at=at,
            added=counts.added,
            changed=counts.changed,
            removed=counts.removed,
            held=counts.held,
            unchanged=counts.unchanged,
            applied_epoch=epoch,
        )

    def refuse(self, reason: str, at: datetime) -> "Run":
        """Record that the catalog did not want the listing."""
        if self.status != Status.FETCHED:
            return self
        return replace(self, status=Status.REFUSED, reason=reason, ended_at=at)
