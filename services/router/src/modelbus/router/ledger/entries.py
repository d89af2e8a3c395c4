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
