"""Targets are what references name: models, and sources of models, with all that a rule may ask of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

DELETED = "deleted"
"""Why a target that the catalog does not hold is not available."""
UNKNOWN = "unknown"
"""Why a target is not available of which the catalog does not say why."""


class TargetKind(StrEnum):
    """What kind of thing a reference names, or a finding is about."""

    MODEL = "model"
    SOURCE = "source"
    SUPPLIER = "supplier"
    """Named by findings only: what would fall with it."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices in USD per million tokens; None is unknown, zero is a price."""

    input: Decimal | None = None
    output: Decimal | None = None

    def by_unit(self) -> tuple[tuple[str, Decimal | None], ...]:
        """List the units with their prices."""
        return ("input", self.input), ("output", self.output)


@dataclass(frozen=True, slots=True)
class Source:
    """One supplier's offer of a model."""

    id: UUID
    model_id: UUID
    supplier_id: UUID
    supplier_name: str | None
    problem: str | None
    """Why it is not available; None while it is."""
    cost: Rates = Rates()
    features: Mapping[str, bool] | None = None
    """What it can do otherwise than its model."""
    retires_at: datetime | None = None
    health: str = "unknown"
    """`healthy`, `degraded`, `down` or `unknown`; no rule asks for it, it passes too quickly."""


@dataclass(frozen=True, slots=True)
class Model:
    """What a user names, with the offers of it."""

    id: UUID
    name: str | None
    """The last that was told; None for one that nobody ever told of."""
    problem: str | None
    """Why it is not available; None while it is."""
    sources: tuple[Source, ...] = ()
    charge: Rates | None = None
    """None while it has no price."""
    context_window: int | None = None
    capabilities: frozenset[str] = frozenset()
    """By name; empty where nobody said what it can do."""
    retires_at: datetime | None = None
    model_type: str | None = None
    """None of one that is deleted."""
    replacement_id: UUID | None = None
    """The model that its users should move to."""
    ring: tuple[str, ...] = ()
    """The models that following replacements passes until it comes back here; empty where it does not."""

    @property
    def offers(self) -> tuple[Source, ...]:
        """List the sources that can serve now."""
        return () if self.problem else tuple(source for source in self.sources if source.problem is None)


def cheapest(offers: Iterable[Source]) -> dict[str, Decimal]:
    """Answer the lowest known price of each unit among some sources."""
    known: dict[str, list[Decimal]] = {}
    for source in offers:
        for unit, price in source.cost.by_unit():
            if price is not None:
                known.setdefault(unit, []).append(price)
    return {unit: min(prices) for unit, prices in known.items()}
