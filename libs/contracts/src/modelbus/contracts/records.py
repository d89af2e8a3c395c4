"""State records: what the catalog knows of each thing, as the feed carries it and the snapshot lists it.

A `<kind>.changed` event carries the whole new record, or `deleted`. Enumerations are plain strings here: a hearer
of an older version must be able to read a value that it does not know.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar
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
    """How its listing is read: `openai` or `openrouter`."""
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


class ChainStepRecord(BaseModel):
    """One step of a chain: a model, or one exact source of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    model_id: UUID
    source_id: UUID | None = None


class ChainRecord(Record):
    """Ordered fallback steps under a name that callers use like a model's."""

    kind: ClassVar[str] = "chain"

    name: str
    is_active: bool
    steps: list[ChainStepRecord]


class ComplexityLevelRecord(BaseModel):
    """The models that serve requests of one level, best first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: str
    """`trivial`, `easy`, `medium`, `hard` or `expert`."""
    model_ids: list[UUID]


class ComplexityRecord(Record):
    """Which models serve which level of complexity."""

    kind: ClassVar[str] = "complexity"

    name: str
    is_active: bool
    levels: list[ComplexityLevelRecord]


class ScopeRecord(Record):
    """A business domain with its own set of models."""

    kind: ClassVar[str] = "scope"

    name: str
    is_active: bool
    model_ids: list[UUID]
    default_model_id: UUID | None


class AccessKeyRecord(Record):
    """What a consumer presents; only its hash is known."""

    kind: ClassVar[str] = "access_key"

    name: str
    key_hash: str
    """SHA-256 of the whole key, lower-case hexadecimal; keys carry 256 bits of chance, so no salt is needed."""
    is_active: bool
    expires_at: datetime | None
    model_ids: list[UUID] | None
    """The models it may call; None means every model."""
