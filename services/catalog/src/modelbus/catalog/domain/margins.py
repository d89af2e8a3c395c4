"""Margins: what is left of a charge once the supplier has been paid, per unit and blended."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from modelbus.catalog.domain.prices import EXACT, UNITS, Amounts, plain

FINEST = Decimal("1e-9")
"""To which blended amounts are rounded, where a division does not end."""
FINEST_PERCENT = Decimal("0.0001")


class Basis(StrEnum):
    """Over which of a model's available sources its margin is."""

    CHEAPEST = "cheapest"
    PREFERRED = "preferred"
    DEAREST = "dearest"


@dataclass(frozen=True, slots=True)
class Blend:
    """How many tokens of input go with how many of output; most requests read more than they write."""

    input: Decimal = Decimal(3)
    output: Decimal = Decimal(1)

    def amount(self, taken: Decimal, given: Decimal) -> Decimal:
        """Answer the mean of an amount for input and one for output."""
        total = EXACT.add(EXACT.multiply(self.input, taken), EXACT.multiply(self.output, given))
        mean = EXACT.divide(total, self.input + self.output)
        return plain(mean.quantize(FINEST, ROUND_HALF_EVEN, EXACT))


DEFAULT_BLEND = Blend()


@dataclass(frozen=True, slots=True)
class UnitMargin:
    """What is left of one charge."""

    amount: Decimal
    """USD, like the prices; below zero where the supplier bills more than we do."""
    percent: Decimal | None
    """Of the charge; None where nothing is charged."""


@dataclass(frozen=True, slots=True)
class Margin:
    """What is left of a charge, by unit; a unit that is not known on both sides is None."""

    input: UnitMargin | None = None
    output: UnitMargin | None = None
    cached_input: UnitMargin | None = None
    cache_write: UnitMargin | None = None
    reasoning: UnitMargin | None = None
    request: UnitMargin | None = None
    image: UnitMargin | None = None
    blended: UnitMargin | None = None
    """Of input and output together; of input alone where neither side has an output."""

    @property
    def is_negative(self) -> bool:
        """Whether any unit is charged below its cost."""
        return any(each is not None and each.amount < 0 for each in (getattr(self, unit) for unit in UNITS))


NO_MARGIN = Margin()


def margin_of(charge: Amounts | None, cost: Amounts | None, blend: Blend = DEFAULT_BLEND) -> Margin:
    """Compare a charge with a cost; nothing is known of one that the supplier decides per call."""
    if charge is None or cost is None or charge.is_dynamic or cost.is_dynamic:
        return NO_MARGIN
    charged, billed = charge.known, cost.known
    units = {unit: _unit(charged[unit], billed[unit]) for unit in UNITS if unit in charged and unit in billed}
    return Margin(**units, blended=_blended(charged, billed, blend))


def blended(amounts: Mapping[str, Decimal], blend: Blend = DEFAULT_BLEND) -> Decimal | None:
    """Answer one price for input and output; what has no output has its input's, and what has no input none."""
    if "input" not in amounts:
        return None
    return blend.amount(amounts["input"], amounts["output"]) if "output" in amounts else amounts["input"]


def _blended(charged: Mapping[str, Decimal], billed: Mapping[str, Decimal], blend: Blend) -> UnitMargin | None:
    if ("output" in charged) != ("output" in billed):
        return None
    charge, cost = blended(charged, blend), blended(billed, blend)
    return None if charge is None or cost is None else _unit(charge, cost)


def _unit(charge: Decimal, cost: Decimal) -> UnitMargin:
    left = EXACT.subtract(charge, cost)
    if not charge:
        return UnitMargin(plain(left), None)
    percent = EXACT.divide(EXACT.multiply(left, Decimal(100)), charge)
    return UnitMargin(plain(left), plain(percent.quantize(FINEST_PERCENT, ROUND_HALF_EVEN, EXACT)))
