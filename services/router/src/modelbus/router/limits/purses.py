"""Purses: what each holder of budgets has spent, by day."""

from datetime import date, datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

import msgspec

from modelbus.router.limits.periods import LONGEST_DAYS, TOTAL, first_day

_NOTHING = Decimal(0)


class Purse(msgspec.Struct):
    """What one holder has spent."""

    days: dict[int, Decimal] = msgspec.field(default_factory=dict)
    """By ordinal of the day in UTC; as many as a period can have."""
    total: Decimal = _NOTHING


class Purses:
    """One purse for each holder; amounts may be negative, to take back."""

    def __init__(self, purses: dict[UUID, Purse] | None = None) -> None:
        self.by_holder: dict[UUID, Purse] = purses or {}

    def spend(self, holder_id: UUID, at: datetime, amount: Decimal) -> None:
        """Note what was spent."""
        purse = self._purse(holder_id)
        _spend_on(purse, at.toordinal(), amount)
        purse.total += amount

    def take(self, others: Self) -> None:
        """Note what was spent by those."""
        for holder_id, other in others.by_holder.items():
            purse = self._purse(holder_id)
            for day, amount in other.days.items():
                _spend_on(purse, day, amount)
            purse.total += other.total

    def spent(self, holder_id: UUID, period: str, today: date) -> Decimal:
        """Answer what was spent in the period so far."""
        purse = self.by_holder.get(holder_id)
        if purse is None:
            return _NOTHING
        if period == TOTAL:
            return purse.total
        begin = first_day(period, today).toordinal()
        return sum((spent for day, spent in purse.days.items() if day >= begin), _NOTHING)

    def _purse(self, holder_id: UUID) -> Purse:
        purse = self.by_holder.get(holder_id)
        if purse is None:
            purse = self.by_holder[holder_id] = Purse()
        return purse


def _spend_on(purse: Purse, day: int, amount: Decimal) -> None:
    if day not in purse.days:
        newest = max((day, *purse.days))
        purse.days = {each: spent for each, spent in purse.days.items() if each > newest - LONGEST_DAYS}
    purse.days[day] = purse.days.get(day, _NOTHING) + amount
