"""State records of who may call: consumers and their access keys."""

from datetime import datetime
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from modelbus.contracts.records import Record


class BudgetRecord(BaseModel):
    """What may be charged in each period."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    period: str
    """`day`, `week`, `month` (calendar, UTC) or `total`."""
    amount: Decimal
    """USD."""


class ConsumerRecord(Record):
    """A tenant or user who calls the router, holding access keys."""

    kind: ClassVar[str] = "consumer"

    name: str
    consumer_kind: str
    """`tenant` or `user`."""
    tier: str
    """`free`, `pro`, `max` or `own`: which models it may use."""
    is_active: bool
    model_ids: list[UUID] | None
    """The models it may call; None means every model of its tier."""
    scope_ids: list[UUID] | None
    """The scopes it may name; None means every scope."""
    rpm_limit: int | None
    """Requests per minute over all its keys."""
    tpm_limit: int | None
    """Tokens per minute over all its keys."""
    concurrency_limit: int | None
    budgets: list[BudgetRecord]
    description: str | None = None


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
    consumer_id: UUID | None = None
    scope_ids: list[UUID] | None = None
    """The scopes it may name; None means every scope."""
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    concurrency_limit: int | None = None
    budgets: list[BudgetRecord] = Field(default_factory=list)
    previous_key_hash: str | None = None
    """The key before the last rotation, which opens until `previous_expires_at`."""
    previous_expires_at: datetime | None = None
