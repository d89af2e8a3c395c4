"""Usage as routers tell it: one line per attempt and one per request, in batches, at least once."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from modelbus.contracts.event import Event


class Tokens(BaseModel):
    """Tokens by disjoint kind: their sum is what passed; None where nobody counted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: int | None = None
    """Input that came from no cache."""
    cached_input: int | None = None
    output: int | None = None
    """Output that is not reasoning."""
    reasoning: int | None = None
    cache_write: int | None = None
    """Input that was written to a cache."""
    is_estimated: bool = False
    """The supplier did not tell, or the answer ended early: this was counted from what passed, roughly."""
    cache_write_1h: int | None = None
    """Of `cache_write`: what is kept for an hour, which Anthropic bills at 1.6 times the price of another write."""
    billed_apart: list[str] = []
    """What suppliers bill by prices that the catalog has no field for, so that the cost is only near: `audio` and
    `image` tokens, `web_search`, a `service_tier`, `inference_geo` or `speed` other than the usual one."""


class AttemptRecord(BaseModel):
    """One call of a supplier."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    number: int
    """1 for the first attempt of a request."""
    model_id: UUID
    source_id: UUID
    supplier_id: UUID
    credential_id: UUID | None
    started_at: datetime
    latency_ms: int
    """From sending to the last byte, or to the failure."""
    first_token_ms: int | None
    status: int | None
    """The supplier's HTTP status; None when it never answered."""
    outcome: str
    """`ok`, `failed`, `cut` (lost after the first byte) or `cancelled` (the caller left)."""
    error: str | None
    tokens: Tokens
    cost: Decimal | None = None
    """What the supplier bills for it, in USD, at the prices in force; None where tokens or prices are unknown."""
    end_reason: str | None = Field(default=None, max_length=64)
    """Why the answer ended, in the supplier's own word: its `finish_reason` (`stop`, `length`, `tool_calls` ...) or
    `stop_reason` (`end_turn`, `max_tokens` ...), of several choices the first; of responses the status, or why it is
    incomplete. None where it did not end by itself, or the supplier has no such word, as for embeddings."""


class SkippedRecord(BaseModel):
    """A place that a request would have come to, and that was passed over because what it names is not available."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference_kind: str
    """What refers: `chain`, `split`, `complexity`, `strategy` or `scope`; `model` for the default of a type."""
    owner_id: UUID
    """The id of what refers."""
    step_id: UUID | None = None
    """Of a chain: its step."""
    target_id: UUID
    """The model or source that is named there."""
    reason: str
    """Why it is not available: `deleted`, `delisted`, `disabled` ..."""


class RequestRecord(BaseModel):
    """One request of a caller with all its attempts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    """UUIDv7; a hearer that has seen it ignores it."""
    access_key_id: UUID | None
    asked_for: str
    """What the caller named: a model, an alias, a chain or a split."""
    is_stream: bool
    started_at: datetime
    latency_ms: int
    status: int
    outcome: str
    attempts: list[AttemptRecord]
    catalog_revision: int
    consumer_id: UUID | None = None
    """Who called; the holder of the access key, or whom a token named."""
    charge: Decimal | None = None
    """What the consumer is billed, in USD: by the model's own price, else what the supplier bills; None where neither
    is known."""
    is_cached: bool = False
    """The answer was one that had been given before; no supplier was asked."""
    skipped: list[SkippedRecord] = []
    """Stale places that it passed over before anybody was asked: 20 at most, which differ between requests."""
    level: str | None = None
    """How complex it was found to be, `trivial` to `expert`; None where nothing depended on that."""
    judged_request_id: UUID | None = None
    """Set where the router itself asked a model how complex a request is: which request. The consumer is not billed."""
    split_id: UUID | None = None
    """The split that was named, or whose shadow this is."""
    split_name: str | None = None
    variant: str | None = None
    """The arm of the split that was asked last, so the one that answered; of a shadow, its name."""
    drawn_variant: str | None = None
    """The arm that the draw gave, among those that could serve; another one where that failed."""
    is_shadow: bool = False
    """A copy that the router sent to a shadow of a split: nobody saw the answer, and the consumer is not billed."""
    shadowed_request_id: UUID | None = None
    """Of a shadow: the request that was copied."""
    trace_id: str | None = None
    """The trace that tells of it, 32 digits of hexadecimal; None where nobody keeps one."""


class UsageRecorded(Event):
    """A batch of requests that ended."""

    type: ClassVar[str] = "usage.recorded"
    version: ClassVar[str] = "1-3"

    router_id: str
    requests: list[RequestRecord]
    run_id: UUID | None = None
    """The process of the router; another one after each start."""
