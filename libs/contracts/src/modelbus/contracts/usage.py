"""Usage as routers tell it: one line per attempt and one per request, in batches, at least once."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

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


class RequestRecord(BaseModel):
    """One request of a caller with all its attempts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    """UUIDv7; a hearer that has seen it ignores it."""
    access_key_id: UUID | None
    asked_for: str
    """What the caller named: a model, an alias or a chain."""
    is_stream: bool
    started_at: datetime
    latency_ms: int
    status: int
    outcome: str
    attempts: list[AttemptRecord]
    catalog_revision: int


class UsageRecorded(Event):
    """A batch of requests that ended."""

    type: ClassVar[str] = "usage.recorded"

    router_id: str
    requests: list[RequestRecord]
