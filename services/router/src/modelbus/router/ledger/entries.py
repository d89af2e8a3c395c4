"""Entries of the ledger: the contract's usage records as structs, because the request path makes them."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec


class Tokens(msgspec.Struct, frozen=True, gc=False):
    """As `contracts.usage.Tokens`."""

    input: int | None = None
    cached_input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cache_write: int | None = None
    is_estimated: bool = False
    cache_write_1h: int | None = None
    billed_apart: tuple[str, ...] = ()

    @property
    def sum(self) -> int:
        """All that passed, as far as it was counted."""
        kinds = (self.input, self.cached_input, self.output, self.reasoning, self.cache_write)
        return sum(count for count in kinds if count)


class AttemptEntry(msgspec.Struct, frozen=True, gc=False):
    """As `contracts.usage.AttemptRecord`."""

    id: UUID
    number: int
    model_id: UUID
    source_id: UUID
    supplier_id: UUID
    credential_id: UUID | None
    started_at: datetime
    latency_ms: int
    first_token_ms: int | None
    status: int | None
    outcome: str
    error: str | None
    tokens: Tokens
    cost: Decimal | None
    end_reason: str | None = None


class SkippedEntry(msgspec.Struct, frozen=True, gc=False):
    """As `contracts.usage.SkippedRecord`."""

    reference_kind: str
    owner_id: UUID
    step_id: UUID | None
    target_id: UUID
    reason: str


class RequestEntry(msgspec.Struct, frozen=True, gc=False):
    """As `contracts.usage.RequestRecord`."""

    id: UUID
    access_key_id: UUID | None
    asked_for: str
    is_stream: bool
    started_at: datetime
    latency_ms: int
    status: int
    outcome: str
    attempts: list[AttemptEntry]
    catalog_revision: int
    consumer_id: UUID | None = None
    charge: Decimal | None = None
    is_cached: bool = False
    skipped: list[SkippedEntry] = []
    level: str | None = None
    judged_request_id: UUID | None = None
    split_id: UUID | None = None
    split_name: str | None = None
    variant: str | None = None
    drawn_variant: str | None = None
    is_shadow: bool = False
    shadowed_request_id: UUID | None = None
    trace_id: str | None = None
