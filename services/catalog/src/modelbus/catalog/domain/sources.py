"""A source is one supplier's offer of one model, and the only thing that traffic goes to."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID


class Origin(StrEnum):
    """Who said that the offer exists, or what it costs."""

    LISTING = "listing"
    ADMINISTRATOR = "administrator"
    METADATA = "metadata"
    """A metadata file: of what it costs, where the listing says nothing."""


class Health(StrEnum):
    """What probes and traffic say of a source right now."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


BEST_FIRST = (Health.HEALTHY, Health.DEGRADED, Health.UNKNOWN, Health.DOWN)
"""What nobody has asked yet may well serve; what is down does not."""


def best_health(healths: Iterable[str]) -> Health | None:
    """Answer the best of them; None of none."""
    return min(map(Health, healths), key=BEST_FIRST.index, default=None)


@dataclass(frozen=True, slots=True)
class Source:
    """One offer with its availability."""

    KIND: ClassVar[str] = "source"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset(
        {"is_available", "reason", "since", "missed", "is_listed", "first_seen_at", "last_seen_at", "health"}
        | {"deprecated_at", "retires_at", "replacement", "unhealthy_at", "said", "background"}
    )

    id: UUID
    model_id: UUID
    supplier_id: UUID
    upstream_name: str
    origin: str
    is_enabled: bool
    """False once an administrator took it out of service."""
    missed: int
    """Listings in a row that did not name it."""
    is_listed: bool
    """False once it counts as removed by the supplier."""
    is_available: bool
    reason: str | None
    since: datetime
    priority: int
    weight: int
    cost: dict[str, Any]
    """Cost prices in force as in `contracts.records.CostPrices`, decimals as strings."""
    first_seen_at: datetime
    last_seen_at: datetime
    """When a listing last named it before it was first missed; current while nothing is missed."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1
    protocol: str | None = None
    """How requests to this offer are spoken; None means like the supplier."""
    features: dict[str, bool] | None = None
    """What this offer can do otherwise than its model: capability name to whether it has it."""
    health: str = Health.UNKNOWN
    """What probes and traffic say right now."""
    cost_origin: str = Origin.LISTING
    """Who said what it costs; what an administrator said is never overwritten by a listing."""
    deprecated_at: datetime | None = None
    """From when on the supplier advises against it, as its listing says."""
    retires_at: datetime | None = None
    """From when on the supplier does not serve it, whether or not it is still listed."""
    replacement: str | None = None
    """The upstream name of what the supplier would have used instead."""

    unhealthy_at: datetime | None = None
    """When it is out of service because it is down; None while it is not."""
    said: dict[str, Any] = field(default_factory=dict)
    """What its supplier's listing tells of the model, whether or not the model has it from there."""
    background: list[dict[str, Any]] | None = None
    """What metadata files say of the model, as `domain.background.Remark` has it, the first to be believed first."""

    @property
    def told(self) -> tuple[object, ...]:
        """What a listing says of it, and everybody is told."""
        life = self.deprecated_at, self.retires_at, self.replacement
        return self.is_listed, self.cost, self.cost_origin, self.model_id, *life

    def is_retired(self, now: datetime) -> bool:
        """Tell whether the supplier serves it no more, as its listing says."""
        return self.retires_at is not None and self.retires_at <= now

    def is_unhealthy(self, now: datetime) -> bool:
        """Tell whether it has been down for too long."""
        return self.unhealthy_at is not None and self.unhealthy_at <= now
