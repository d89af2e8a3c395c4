"""Prices in periods: what a model is charged or a source costs, since when and until when; the past never changes."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Context, Decimal
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from modelbus.catalog.domain.price_errors import (
    PriceBegunError,
    PriceInPastError,
    PriceNotBegunError,
    PriceOverError,
    PriceOverlapError,
    PricePeriodEmptyError,
    ScheduleFullError,
)
from modelbus.catalog.domain.sources import Origin

UNITS = ("input", "output", "cached_input", "cache_write", "reasoning", "request", "image")
MOST_LIVING = 100
INSTANT = timedelta(microseconds=1)
"""The finest that PostgreSQL tells moments apart."""
# Holds every digit of every amount, so that nothing here ever rounds by itself.
EXACT = Context(prec=200)


class PeriodState(StrEnum):
    """Where a period stands, as the world has been told."""

    COMING = "coming"
    IN_FORCE = "in_force"
    OVER = "over"
    WITHDRAWN = "withdrawn"


def plain(amount: Decimal) -> Decimal:
    """Write an amount in the one notation, `10` and not `1E+1` or `10.0`; or equal prices would look like a change."""
    return Decimal(f"{amount.normalize(EXACT):f}") if amount else Decimal(0)


@dataclass(frozen=True, slots=True)
class Amounts:
    """USD per million tokens, per request or per image; None is unknown, zero is a price."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None
    is_dynamic: bool = False
    """The supplier decides per call and lists none."""

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> "Amounts":
        """Read what a source's `cost`, a version, or a caller says."""
        known = {unit: plain(Decimal(told[unit])) for unit in UNITS if told.get(unit) is not None}
        return cls.of(known, is_dynamic=bool(told.get("is_dynamic")))

    @classmethod
    def of(cls, known: Mapping[str, Decimal], *, is_dynamic: bool = False) -> "Amounts":
        """Answer the amounts of these units."""
        told: dict[str, Any] = {unit: known.get(unit) for unit in UNITS}
        return cls(**told, is_dynamic=is_dynamic)

    @property
    def known(self) -> dict[str, Decimal]:
        """The amounts that are known, by unit."""
        return {unit: amount for unit in UNITS if (amount := getattr(self, unit)) is not None}

    @property
    def is_unknown(self) -> bool:
        """Whether this says nothing at all."""
        return not self.known and not self.is_dynamic

    def told(self) -> dict[str, Any]:
        """Answer them as a source's `cost` is kept: decimals as strings."""
        amounts = ((unit, getattr(self, unit)) for unit in UNITS)
        return {**{unit: None if each is None else str(each) for unit, each in amounts}, "is_dynamic": self.is_dynamic}


UNKNOWN = Amounts()


@dataclass(frozen=True, slots=True)
class Period:
    """One price with the time in which it is in force."""

    id: UUID
    begins: datetime
    ends: datetime | None
    """The first moment at which it is no longer in force."""
    is_open: bool
    """Whether it lasts until another begins; then its end moves with that."""
    amounts: Amounts
    origin: str
    """Who said it: a listing, a metadata file in its place, or an administrator."""

    def is_at(self, moment: datetime) -> bool:
        """Tell whether it is in force at the moment."""
        return self.begins <= moment and (self.ends is None or moment < self.ends)

    def is_like(self, other: "Period") -> bool:
        """Tell whether both say the same, be it at different times."""
        return (self.amounts, self.origin) == (other.amounts, other.origin)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a model is charged now."""

    id: UUID
    """The model's, which has one price at a time."""
    period: Period


@dataclass(frozen=True, slots=True)
class Schedule:
    """The prices of one model, or of one source: in force and to come, in order, none within another.

    Every method answers a new schedule. What has ended in it stays in it, with its end, until it is read again; what
    was taken back is gone. `now` is what `moment` answers, and `at` comes first.
    """

    KIND: ClassVar[str] = "price"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset({"in_force_id"})

    id: UUID
    """That of the model or source."""
    model_id: UUID | None
    source_id: UUID | None
    periods: tuple[Period, ...] = ()
    in_force_id: UUID | None = None
    """The period of which the world has been told that it is in force."""
    version: int = 0
    """0 as long as nobody has set a price by hand."""
    updated_at: datetime | None = None

    @property
    def in_force(self) -> Period | None:
        """The price of which the world has been told."""
        return next((period for period in self.periods if period.id == self.in_force_id), None)

    def holding(self, periods: Iterable[Period], in_force_id: UUID | None) -> "Schedule":
        """Answer the schedule with these periods, in order."""
        return replace(self, periods=tuple(periods), in_force_id=in_force_id)

    def moment(self, clock: datetime) -> datetime:
        """Answer the time, which is later than when the price in force began: clocks of replicas differ."""
        present = self.in_force
        return clock if present is None else max(clock, present.begins + INSTANT)

    def at(self, now: datetime) -> "Schedule":
        """Let time pass: what has ended goes, and what has begun is in force."""
        living = tuple(period for period in self.periods if period.ends is None or now < period.ends)
        return replace(self, periods=living, in_force_id=_current(living, now))

    def find(self, period_id: UUID) -> Period:
        """Find a period that is in force or to come.

        Raises:
            PriceOverError: it is neither any more.
        """
        for period in self.periods:
            if period.id == period_id:
                return period
        raise PriceOverError(period_id)

    def set(self, wanted: Period, now: datetime, make_id: Callable[[], UUID]) -> "Schedule":
        """Add a price; an open one that is in force when it begins makes way, and goes on when it ends.

        A price like the open one that would make way changes nothing.

        Raises:
            PriceInPastError: it would have begun already.
            PricePeriodEmptyError: it would end before it begins.
            PriceOverlapError: another price begins within its period, or is to end in it.
            ScheduleFullError: there are too many.
        """
        if wanted.begins < now:
            raise PriceInPastError("valid_from", now)
        _refuse_empty(wanted)
        yielding = next((each for each in self.periods if each.is_open and _is_within(wanted.begins, each)), None)
        _refuse_overlap(wanted, (each for each in self.periods if each is not yielding))
        if yielding is None:
            return self._fitted([*self.periods, wanted], now)
        if yielding.is_like(wanted) and yielding.ends == wanted.ends:
            return self
        added = [wanted]
        if wanted.ends is not None and wanted.ends != yielding.ends:
            # It goes on as a price of its own: a period has one beginning and one end.
            added.append(replace(yielding, id=make_id(), begins=wanted.ends))
        return self._fitted([*self.periods, *added], now)

    def change(
        self, period_id: UUID, fields: Mapping[str, Any], now: datetime, make_id: Callable[[], UUID]
    ) -> "Schedule":
        """Change `begins`, `ends` or `amounts` of a price that has not begun; the end alone of one that is in force.

        Raises:
            PriceOverError: it is history.
            PriceBegunError: it is in force, and more than its end would be changed.
            PriceInPastError: it would begin or end in the past.
            PricePeriodEmptyError: it would end before it begins.
            PriceOverlapError: another price is in force in its new period.
        """
        present = self.find(period_id)
        changed = replace(present, ends=None if present.is_open else present.ends)
        changed = replace(changed, **fields)
        changed = replace(changed, is_open=changed.ends is None)
        if present.begins > now:
            return self.withdraw(period_id, now).set(changed, now, make_id)
        if (changed.begins, changed.amounts) != (present.begins, present.amounts):
            raise PriceBegunError(period_id, present.begins, "set a new price, from a time to come on")
        if changed.ends is not None and changed.ends < now:
            raise PriceInPastError("valid_until", now)
        others = [each for each in self.periods if each is not present]
        if not changed.is_open:
            _refuse_overlap(changed, others)
        return self._fitted([changed, *others], now)

    def withdraw(self, period_id: UUID, now: datetime) -> "Schedule":
        """Take back a price that has not begun; the open one that made way for it goes on instead.

        Raises:
            PriceOverError: it is history.
            PriceBegunError: it is in force.
        """
        period = self.find(period_id)
        if period.begins <= now:
            raise PriceBegunError(period_id, period.begins, "end it, or set a new price")
        return self._fitted([each for each in self.periods if each is not period], now)

    def end(self, period_id: UUID, now: datetime) -> "Schedule":
        """End the price that is in force.

        Raises:
            PriceOverError: it is history.
            PriceNotBegunError: it is to come.
        """
        period = self.find(period_id)
        if period.begins > now:
            raise PriceNotBegunError(period_id, period.begins)
        return self._ended(now)

    def follow(
        self, amounts: Amounts, now: datetime, make_id: Callable[[], UUID], origin: str = Origin.LISTING
    ) -> "Schedule":
        """Let what a listing says be in force, or a metadata file in its place; what an administrator said stays."""
        present = self.in_force
        if present is None and amounts.is_unknown:
            return self
        if present is not None and (present.amounts, present.origin) == (amounts, origin):
            return self
        if present is not None and present.origin == Origin.ADMINISTRATOR:
            return self
        periods = self._ended(now).periods
        if not amounts.is_unknown:
            periods += (Period(make_id(), now, None, is_open=True, amounts=amounts, origin=origin),)
        return self._fitted(periods, now)

    def restored(self, wanted: Iterable[Period], now: datetime, make_id: Callable[[], UUID]) -> "Schedule":
        """Say from now on what `wanted` says; what has been in force until now stays as it was."""
        present = self.in_force
        periods: list[Period] = []
        for period in wanted:
            if period.ends is not None and period.ends <= now:
                continue
            if period.begins > now:
                periods.append(replace(period, id=self._id_of(period) or make_id()))
            elif present is not None and present.is_like(period):
                periods.append(replace(present, ends=period.ends, is_open=period.is_open))
            else:
                periods.append(replace(period, id=make_id(), begins=now))
        if present is not None and all(period.id != present.id for period in periods):
            periods.append(replace(present, ends=now, is_open=False))
        return self._fitted(periods, now)

    def _id_of(self, period: Period) -> UUID | None:
        """Find the price that begins and says the same, so that it is kept and not made anew."""
        same = (each for each in self.periods if each.begins == period.begins and each.is_like(period))
        return next((each.id for each in same), None)

    def _ended(self, now: datetime) -> "Schedule":
        periods = [
            replace(each, ends=now, is_open=False) if each.id == self.in_force_id else each for each in self.periods
        ]
        return replace(self, periods=tuple(periods), in_force_id=None)

    def _fitted(self, periods: Iterable[Period], now: datetime) -> "Schedule":
        """Let each open period last until the next begins; one that only says the same again is left out."""
        fitted: list[Period] = []
        for period in sorted(periods, key=lambda each: each.begins):
            before = fitted[-1] if fitted else None
            if before is not None and before.is_open:
                if period.is_open and before.is_like(period):
                    continue
                fitted[-1] = replace(before, ends=period.begins)
            fitted.append(replace(period, ends=None) if period.is_open else period)
        if len(fitted) > MOST_LIVING:
            raise ScheduleFullError(MOST_LIVING)
        return replace(self, periods=tuple(fitted), in_force_id=_current(fitted, now))


def _current(periods: Iterable[Period], now: datetime) -> UUID | None:
    return next((period.id for period in periods if period.is_at(now)), None)


def _is_within(moment: datetime, period: Period) -> bool:
    return period.begins < moment and period.is_at(moment)


def _refuse_empty(wanted: Period) -> None:
    if wanted.ends is not None and wanted.ends <= wanted.begins:
        raise PricePeriodEmptyError(wanted.begins)


def _refuse_overlap(wanted: Period, others: Iterable[Period]) -> None:
    for other in others:
        is_before = other.ends is not None and other.ends <= wanted.begins
        is_after = wanted.ends is not None and wanted.ends <= other.begins
        if not is_before and not is_after:
            raise PriceOverlapError(other.id, other.begins, other.ends)
