"""An offer is a source together with what matters of its model and supplier to who chooses among sources."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

INPUT_SHARE = 3
"""Tokens of input for each token of output in the blended price: most requests read more than they write."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One source of one model."""

    source_id: UUID
    upstream_name: str
    priority: int
    cost: dict[str, Any]
    health: str
    supplier_id: UUID
    supplier_name: str
    model_id: UUID
    model_name: str
    model_type: str
    lifecycle: str
    is_featured: bool
    context_window: int | None
    capabilities: list[str]
    """The names of those that its model has."""
    is_available: bool
    reason: str | None
    """Why it is not available: its own reason, or that of its model."""

    def price(self, unit: str) -> Decimal | None:
        """Answer what the supplier bills for that unit; None where nobody knows, or it is decided per call."""
        return price_in(self.cost, unit)

    @property
    def input_price(self) -> Decimal | None:
        """USD per million tokens that the model reads."""
        return self.price("input")

    @property
    def output_price(self) -> Decimal | None:
        """USD per million tokens that the model writes."""
        return self.price("output")

    @property
    def blended_price(self) -> Decimal | None:
        """USD per million tokens, three of input to one of output; what takes no output has its input's price."""
        return blended_cost(self.cost)


def price_in(cost: Mapping[str, Any], unit: str) -> Decimal | None:
    """Answer what a supplier bills for that unit; None where nobody knows, or it is decided per call."""
    told = cost.get(unit)
    return None if told is None or cost.get("is_dynamic") else Decimal(told)


def blended_cost(cost: Mapping[str, Any]) -> Decimal | None:
    """Answer USD per million tokens, three of input to one of output; what takes no output has its input's price."""
    taken, given = price_in(cost, "input"), price_in(cost, "output")
    if taken is None:
        return None
    return taken if given is None else (INPUT_SHARE * taken + given) / (INPUT_SHARE + 1)


type Strength = tuple[bool, Decimal, int]
"""How strong a model is taken to be, by what can be known without asking it anything: whether it is featured, its
price, its context window, the weightiest first. Prices speak for quality, as suppliers know what theirs is worth."""


def strength_of(offers: list[Offer]) -> Strength:
    """Answer the strength of a model from its offers, of which there is at least one.

    The lowest known price counts: an aggregator's surcharge makes nothing better.
    """
    first = offers[0]
    return first.is_featured, cheapest_price(offers) or Decimal(0), first.context_window or 0


def cheapest_price(offers: list[Offer]) -> Decimal | None:
    """Answer the lowest blended price of the offers; None where none is known."""
    return min((price for offer in offers if (price := offer.blended_price) is not None), default=None)


def by_model(offers: list[Offer]) -> dict[UUID, list[Offer]]:
    """Put the offers of each model together."""
    grouped: dict[UUID, list[Offer]] = {}
    for offer in offers:
        grouped.setdefault(offer.model_id, []).append(offer)
    return grouped
