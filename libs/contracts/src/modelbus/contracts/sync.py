"""What sync tells, and the normalised listing that the catalog reads from it by claim check."""

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from modelbus.contracts.event import Event
from modelbus.contracts.records import CostPrices


class HeldPrices(BaseModel):
    """Prices that a listing told and that nobody believes yet: they wait for an administrator."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listed: CostPrices
    """As the listing has them, read in the unit that it is said to use."""
    reason: str


class Life(BaseModel):
    """How long a supplier serves a model; what it does not say is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deprecated_at: datetime | None = None
    """From when on it advises against it."""
    retires_at: datetime | None = None
    """From when on it does not serve it, whether or not it is still listed."""
    replacement: str | None = None
    """The upstream name of the model that it would have used instead."""


class ListedModel(BaseModel):
    """One model as a supplier lists it, in our words; None where the listing does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A hundred thousand are held at once, and an eleventh field would make each far larger: rare ones go together.
    upstream_name: str
    display_name: str | None = None
    model_type: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    cost: CostPrices = CostPrices()
    held: HeldPrices | None = None
    """Prices that are not in `cost` because they are held for review; `cost` is what was believed before."""
    modalities: str | None = None
    """What goes in and what comes out, as in `text+image->text`; words are `text`, `image`, `audio`, `video`, `file`,
    `embedding`, `rerank`."""
    capabilities: list[str] | None = None
    """What it can do, in the words of the catalog's capabilities (`tools`, `vision` ...), in order."""
    life: Life | None = None


class Background(BaseModel):
    """What a metadata file says of a listed model, for what its listing does not tell; None where it does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstream_name: str
    file: str | None
    """The name that the operator gave the file; None where this is only inferred, from the model's name."""
    entry: str | None = None
    """What the file calls the model."""
    is_exact: bool = False
    """Whether the entry is the model's own, and not merely of that name, or of another state of it."""
    tells_cost: bool = False
    """The cost of the listed model comes from here: its listing tells none."""
    display_name: str | None = None
    model_type: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    modalities: str | None = None
    capabilities: list[str] | None = None
    knowledge_cutoff: date | None = None
    deprecated_at: datetime | None = None


class LeftOut(BaseModel):
    """An entry of a listing that did not become a model, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upstream_name: str
    reason: str


class Listing(BaseModel):
    """What a supplier answered when asked for its models, normalised."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: UUID
    supplier_id: UUID
    digest: str
    """SHA-256 over the normalised models in order of name, the ignored names and the background; in hexadecimal."""
    models: list[ListedModel]
    left_out: list[LeftOut]
    ignored: list[str] = []
    """Upstream names that are listed and that a rule leaves out: what the catalog has of them stays as it is."""
    background: list[Background] = []
    """In order of name; of one model what goes before the other comes first."""


class ListingFetched(Event):
    """A listing was read and normalised; it waits where `listing_url` says."""

    type: ClassVar[str] = "listing.fetched"

    run_id: UUID
    supplier_id: UUID
    digest: str
    count: int
    listing_url: str
    """Path on the sync service, for instance `/api/v1/runs/{run_id}/listing`."""

    def about(self) -> UUID:
        """Answer the run's id."""
        return self.run_id


class SyncQuarantined(Event):
    """A listing looks wrong and waits for an administrator; the catalog is as it was."""

    type: ClassVar[str] = "sync.quarantined"

    run_id: UUID
    supplier_id: UUID
    reasons: list[str]
    count: int
    """Models that the listing names."""

    def about(self) -> UUID:
        """Answer the run's id."""
        return self.run_id


class SyncFailed(Event):
    """Sync gave a listing up; the catalog is as it was."""

    type: ClassVar[str] = "sync.failed"

    run_id: UUID
    supplier_id: UUID
    reason: str

    def about(self) -> UUID:
        """Answer the run's id."""
        return self.run_id
