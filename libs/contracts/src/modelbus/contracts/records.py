"""State records: what the catalog knows of each thing, as the feed carries it and the snapshot lists it.

A `<kind>.changed` event carries the whole new record, or `deleted`. Enumerations are plain strings here: a hearer
of an older version must be able to read a value that it does not know.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """The whole public state of one thing in the catalog."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    """The noun, as in `<kind>.changed` and as key of the snapshot."""

    id: UUID


class SupplierRecord(Record):
    """A provider or aggregator account that can be called."""

    kind: ClassVar[str] = "supplier"

    name: str
    display_name: str
    supplier_kind: str
    """`direct` or `aggregator`."""
    base_url: str
    """Up to and including the version segment, for instance `https://host/v1`; never ends in a slash."""
    protocol: str
    """How requests are spoken: `openai` or `anthropic`."""
    flavour: str
    """How its listing is read, for instance `openai` or `openrouter`; sync has a module for each."""
    namespace: str | None
    """Put before each listed name (`openai` + `gpt-4o` = `openai/gpt-4o`), so that offers of several suppliers meet."""
    is_active: bool
    requires_credential: bool
    is_local: bool
    """May be reached at a loopback or private address."""
    removal_after: int
    """A model missing from that many listings in a row counts as removed."""
    sync_interval_s: int
    """Seconds between scheduled listings; 0 means only on demand."""
    description: str | None = None
    website: str | None = None
    docs_url: str | None = None
    logo_url: str | None = None
    category: str | None = None
    """A word by which administrators group suppliers."""
    listing_url: str | None = None
    """Where its listing is, if not where its flavour looks for it; keys go there only if it is the same server."""


class CredentialRecord(Record):
    """One API key of a supplier; the secret travels sealed and opens only with the master key."""

    kind: ClassVar[str] = "credential"

    supplier_id: UUID
    name: str
    sealed: str
    """Fernet token under the master key (https://github.com/fernet/spec)."""
    is_active: bool
    priority: int
    """Lower is tried first."""
    state: str
    """`ok`, `cooling` or `dead`."""
    weight: int = 1
    """Share of the calls among credentials of equal priority."""
    model_ids: list[UUID] | None = None
    """The models that it may be used for; None means every model."""
    rpm_limit: int | None = None
    """Requests per minute that the supplier allows; None is unknown."""
    tpm_limit: int | None = None
    """Tokens per minute that the supplier allows; None is unknown."""
    state_reason: str | None = None
    """Why it is not ok, in our words; None while it is."""
    state_until: datetime | None = None
    """When it may be used again; None unless it is cooling."""
    state_since: datetime | None = None
    """Since when it is not ok; None while it is."""
    generation: int = 1
    """Grows with each new secret and each reset; whoever tells what they saw of it names the one that they used."""


class ModelCapabilityRecord(BaseModel):
    """A capability that a model has, with its settings for this model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    capability_id: UUID
    config: dict[str, Any]


class ModelParameterRecord(BaseModel):
    """A parameter of requests to a model: the value when the caller gives none, and the bounds of what may be given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """As in the request's body, for instance `temperature`."""
    parameter_type: str
    """`int`, `float`, `bool`, `string` or `json`."""
    default: Any = None
    """None leaves it to the supplier."""
    minimum: float | None = None
    maximum: float | None = None
    choices: list[Any] | None = None
    """The only values that may be given; None leaves it open."""


class ModelRecord(Record):
    """What a user names and we serve."""

    kind: ClassVar[str] = "model"

    name: str
    aliases: list[str]
    display_name: str
    model_type: str
    """`language`, `embedding`, `image`, `audio`, `video`, `rerank`, `moderation` or `multimodal`."""
    context_window: int | None
    """Tokens of input and output together, as the supplier counts them."""
    max_output_tokens: int | None
    is_active: bool
    is_available: bool
    """True while it is active and at least one source of it is available."""
    reason: str | None
    """Why it is not available; None while it is."""
    custom_name: str | None = None
    """What administrators call it instead of the display name."""
    description: str | None = None
    sub_type: str | None = None
    knowledge_cutoff: date | None = None
    lifecycle: str = "active"
    """`active`, `deprecated` or `retired`."""
    deprecated_at: datetime | None = None
    retires_at: datetime | None = None
    replacement_model_id: UUID | None = None
    """The model that its users should move to."""
    tier: str = "free"
    """The tier that a consumer needs at least: `free`, `pro`, `max` or `own`."""
    is_featured: bool = False
    is_default: bool = False
    """Serves requests of its type that name no model."""
    capabilities: list[ModelCapabilityRecord] = Field(default_factory=list)
    parameters: list[ModelParameterRecord] = Field(default_factory=list)
    category_ids: list[UUID] = Field(default_factory=list)
    tag_ids: list[UUID] = Field(default_factory=list)
    """Tags given by hand and by rule."""
    modalities: str | None = None
    """What goes in and what comes out, as in `text+image->text`; None is unknown."""


Price = Annotated[Decimal, Field(ge=0, lt=1_000_000_000, allow_inf_nan=False)]


class CostPrices(BaseModel):
    """What a supplier bills; USD per million tokens, per request or per image. None is unknown, zero is a price."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Price | None = None
    output: Price | None = None
    cached_input: Price | None = None
    cache_write: Price | None = None
    reasoning: Price | None = None
    request: Price | None = None
    image: Price | None = None
    is_dynamic: bool = False
    """The supplier decides the price per call and lists none."""


class SourceRecord(Record):
    """One supplier's offer of one model."""

    kind: ClassVar[str] = "source"

    model_id: UUID
    supplier_id: UUID
    upstream_name: str
    """What the supplier calls the model."""
    is_available: bool
    reason: str | None
    """Why it is not available: `delisted`, `disabled`, `supplier_disabled`, `no_credential` ...; None while it is."""
    priority: int
    """Lower is tried first."""
    weight: int
    cost: CostPrices
    """In force now."""
    protocol: str | None = None
    """How requests to this offer are spoken; None means like the supplier."""
    features: dict[str, bool] | None = None
    """What this offer can do otherwise than its model: capability name to whether it has it."""
    health: str = "unknown"
    """What probes and traffic say right now: `healthy`, `degraded`, `down` or `unknown`."""
    deprecated_at: datetime | None = None
    """From when on the supplier advises against it."""
    retires_at: datetime | None = None
    """From when on the supplier does not serve it, as its listing says."""
    replacement: str | None = None
    """The upstream name of what the supplier would have used instead."""
    cost_origin: str = "listing"
    """Who said what it costs: `listing`, `administrator`, or `metadata` where a file tells it in a listing's place."""


class PriceRecord(Record):
    """What consumers are charged for a model now; its id is the model's, which has one price at a time."""

    kind: ClassVar[str] = "price"

    model_id: UUID
    charge: CostPrices
    valid_from: datetime
    valid_until: datetime | None
    """The first moment at which it is no longer in force; None while no end is known."""
