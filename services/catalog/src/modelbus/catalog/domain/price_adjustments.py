"""Adjusting of many charges at once: by percent, to a margin, or to given amounts, and rounded by one rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from modelbus.catalog.domain.margins import Basis
from modelbus.catalog.domain.prices import EXACT, UNITS, UNKNOWN, Amounts, plain

PER_TOKENS = UNITS[:5]
DEAREST = {**dict.fromkeys(PER_TOKENS, Decimal(10_000)), **dict.fromkeys(UNITS[5:], Decimal(1_000))}
"""What is dearer was meant otherwise: per thousand tokens, or in another currency."""
HUNDRED = Decimal(100)


class Mode(StrEnum):
    """Which way an amount is rounded."""

    UP = "up"
    DOWN = "down"
    HALF_EVEN = "half_even"


_ROUNDED = {Mode.UP: ROUND_CEILING, Mode.DOWN: ROUND_FLOOR, Mode.HALF_EVEN: ROUND_HALF_EVEN}


class Skipped(StrEnum):
    """Why a model's charge is left as it is."""

    NO_PRICE = "no_price"
    NO_SOURCE = "no_source"
    COST_DYNAMIC = "cost_dynamic"
    COST_UNKNOWN = "cost_unknown"
    ROUNDS_TO_ZERO = "rounds_to_zero"
    TOO_DEAR = "too_dear"
    PRICE_OVERLAP = "price_overlap"
    SCHEDULE_FULL = "schedule_full"


class NotAdjustableError(Exception):
    """One model's charge can't be adjusted so; the others can."""

    def __init__(self, reason: Skipped) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Rounding:
    """To which multiples, and which way."""

    mode: Mode = Mode.HALF_EVEN
    to: Decimal = Decimal("0.000001")

    def apply(self, amount: Decimal) -> Decimal:
        """Answer the multiple of `to` for the amount."""
        steps = EXACT.divide(amount, self.to).to_integral_value(_ROUNDED[self.mode], EXACT)
        return plain(EXACT.multiply(steps, self.to))


@dataclass(frozen=True, slots=True)
class ByPercent:
    """So much more, or less."""

    percent: Decimal

    def amounts(self, charge: Amounts | None, _cost: Amounts | None) -> Mapping[str, Decimal]:
        """Answer what would be charged, not rounded yet."""
        if charge is None or not charge.known:
            raise NotAdjustableError(Skipped.NO_PRICE)
        factor = EXACT.divide(EXACT.add(HUNDRED, self.percent), HUNDRED)
        return {unit: EXACT.multiply(amount, factor) for unit, amount in charge.known.items()}


@dataclass(frozen=True, slots=True)
class ToMargin:
    """So that this much of each charge is left over the cost."""

    percent: Decimal
    over: Basis

    def amounts(self, _charge: Amounts | None, cost: Amounts | None) -> Mapping[str, Decimal]:
        """Answer what would be charged, not rounded yet."""
        if cost is None:
            raise NotAdjustableError(Skipped.NO_SOURCE)
        if cost.is_dynamic:
            raise NotAdjustableError(Skipped.COST_DYNAMIC)
        kept = EXACT.subtract(HUNDRED, self.percent)
        return {unit: EXACT.divide(EXACT.multiply(amount, HUNDRED), kept) for unit, amount in cost.known.items()}


@dataclass(frozen=True, slots=True)
class ToAmounts:
    """To these amounts; what is not among them stays."""

    to: Amounts

    def amounts(self, _charge: Amounts | None, _cost: Amounts | None) -> Mapping[str, Decimal]:
        """Answer what would be charged, not rounded yet."""
        return self.to.known


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is done to charges."""

    by: ByPercent | ToMargin | ToAmounts
    units: Sequence[str] = UNITS
    """The units that it is done to; the others stay."""
    rounding: Rounding = Rounding()

    @property
    def basis(self) -> Basis:
        """Over which source the margins are shown, and reached."""
        return self.by.over if isinstance(self.by, ToMargin) else Basis.CHEAPEST

    def apply(self, charge: Amounts | None, cost: Amounts | None) -> Amounts:
        """Answer the new charge.

        Raises:
            NotAdjustableError: there is nothing to reckon with, or the result would make no sense.
        """
        raw = {unit: amount for unit, amount in self.by.amounts(charge, cost).items() if unit in self.units}
        if not raw:
            is_by_cost = isinstance(self.by, ToMargin)
            raise NotAdjustableError(Skipped.COST_UNKNOWN if is_by_cost else Skipped.NO_PRICE)
        rounded = {unit: self.rounding.apply(amount) for unit, amount in raw.items()}
        if any(raw[unit] > 0 and not amount for unit, amount in rounded.items()):
            raise NotAdjustableError(Skipped.ROUNDS_TO_ZERO)
        if any(amount > DEAREST[unit] for unit, amount in rounded.items()):
            raise NotAdjustableError(Skipped.TOO_DEAR)
        return Amounts.of({**(UNKNOWN if charge is None else charge).known, **rounded})
