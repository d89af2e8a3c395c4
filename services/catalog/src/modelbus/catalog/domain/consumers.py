"""A consumer is a tenant or user who calls the router, holding access keys."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.models import Tier


class ConsumerKind(StrEnum):
    """Whom a consumer stands for."""

    TENANT = "tenant"
    USER = "user"


class Period(StrEnum):
    """For how long a budget lasts; days, weeks and months are those of the calendar in UTC."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Consumer:
    """Who calls, what they may use, and how much of it."""

    KIND: ClassVar[str] = "consumer"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    kind: str
    tier: str
    description: str | None
    is_active: bool
    model_ids: list[UUID] | None
    """The models that it may call; None means every model of its tier."""
    scope_ids: list[UUID] | None
    """The scopes that it may name; None means every scope."""
    rpm_limit: int | None
    tpm_limit: int | None
    concurrency_limit: int | None
    """Over all its access keys."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    budgets: dict[str, str] = field(default_factory=dict)
    """USD for each period that has a budget, as decimals."""
    version: int = 1

    @property
    def is_restricted(self) -> bool:
        """Tell whether it may call some models only."""
        return self.model_ids is not None

    @property
    def is_scope_restricted(self) -> bool:
        """Tell whether it may name some scopes only."""
        return self.scope_ids is not None

    @property
    def tiers_above(self) -> list[str]:
        """The tiers whose models it may not use."""
        tiers = [each.value for each in Tier]
        return tiers[tiers.index(self.tier) + 1 :]


def written(budgets: Mapping[str, Decimal | None]) -> dict[str, str]:
    """Answer budgets as they are kept: without periods that have none, each amount written in one way."""
    return {period: f"{amount.normalize():f}" for period in Period if (amount := budgets.get(period)) is not None}
