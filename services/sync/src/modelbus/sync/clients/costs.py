"""Prices in an entry of a listing, under whatever names: read in the unit that it uses, or held where it tells none."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import HeldPrices
from modelbus.sync.domain.prices import Unit, per_million, per_piece, read_amount

UNIT_NOT_TOLD = "the listing does not tell whether its prices are per token, per thousand or per million"
_PIECES = frozenset({"request", "image"})

type Names = Mapping[str, Sequence[str]]
"""Each of our prices to the fields that may hold it, the preferred one first."""


def read_cost(pricing: Any, names: Names, unit: Unit) -> CostPrices:
    """Read the prices; negative ones are unknown, as everything that is no price."""
    prices = {
        price: per_piece(amount) if price in _PIECES else per_million(amount, unit)
        for price, amount in _amounts(pricing, names).items()
    }
    return CostPrices.model_validate(prices)


def read_cost_without_unit(pricing: Any, names: Names) -> tuple[CostPrices, HeldPrices | None]:
    """Read prices of which nobody says what they are for: those that are zero are so in every unit."""
    written = read_cost(pricing, names, Unit.PER_MILLION)
    if not any(_amounts(pricing, names).values()):
        return written, None
    return CostPrices(), HeldPrices(listed=written, reason=UNIT_NOT_TOLD)


def _amounts(pricing: Any, names: Names) -> dict[str, Decimal]:
    if not isinstance(pricing, dict):
        return {}
    read = {price: _first_amount(pricing, fields) for price, fields in names.items()}
    return {price: amount for price, amount in read.items() if amount is not None}


def _first_amount(pricing: Mapping[str, Any], fields: Sequence[str]) -> Decimal | None:
    amounts = (read_amount(pricing.get(field)) for field in fields)
    return next((amount for amount in amounts if amount is not None and amount >= 0), None)
