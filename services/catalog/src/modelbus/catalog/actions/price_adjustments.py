"""Adjusting of many charges: one transaction, and a number of statements that does not grow with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.prices import carry_out, turned
from modelbus.catalog.actions.rehearsal import rehearsed
from modelbus.catalog.domain.bulk import MOST_AT_ONCE
from modelbus.catalog.domain.errors import DanglingReferenceError
from modelbus.catalog.domain.margins import Margin, margin_of
from modelbus.catalog.domain.model_errors import TooManyModelsError
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.price_adjustments import Adjustment, NotAdjustableError, Skipped
from modelbus.catalog.domain.price_errors import PriceInPastError, PriceOverlapError, ScheduleFullError
from modelbus.catalog.domain.prices import Amounts, Period, Schedule
from modelbus.catalog.domain.sources import Origin
from modelbus.catalog.store import models, priced_models, prices
from modelbus.catalog.store.priced_models import PriceFilter
from modelbus.catalog.store.prices import CHARGES
from modelbus.catalog.store.schedules import Turn
from modelbus.chassis.ids import new_id

type Selection = Sequence[UUID] | PriceFilter
"""Models by their ids, or whatever matches."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A model with another charge than before."""

    model_id: UUID
    model_name: str
    before: Amounts | None
    """The charge that would have been in force at that time."""
    after: Amounts
    margin_before: Margin
    margin_after: Margin


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A model whose charge could not be adjusted."""

    model_id: UUID
    model_name: str
    reason: Skipped
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Adjustments:
    """What came of it, or would."""

    matched: int
    adjusted: list[Adjusted]
    unchanged: int
    skipped: list[LeftOut]


async def adjust_prices(
    session: AsyncSession, selection: Selection, adjustment: Adjustment, begins: datetime | None, *, preview: bool
) -> Adjustments:
    """Adjust the charges of all of the models from a time on; a preview does the same and takes it back.

    Raises:
        DanglingReferenceError: one of the ids does not exist.
        TooManyModelsError: more match than may be changed at once.
        PriceInPastError: the time has passed.
    """
    clock = datetime.now(UTC)
    if begins is not None and begins < clock:
        raise PriceInPastError("valid_from", clock)
    async with rehearsed(session, only=preview):
        held = await _hold(session, selection)
        schedules = await prices.schedules_of(session, CHARGES, list(held))
        costs = await priced_models.costs_over(session, list(held), adjustment.basis)
        work = _Work(session, adjustment, begins, clock)
        for model in held.values():
            work.adjust(model, schedules[model.id], costs)
        await carry_out(session, CHARGES, work.turns)
    return Adjustments(len(held), work.adjusted, len(held) - len(work.adjusted) - len(work.skipped), work.skipped)


class _Work:
    """What was done so far."""

    def __init__(self, session: AsyncSession, adjustment: Adjustment, begins: datetime | None, clock: datetime) -> None:
        self._session = session
        self._adjustment = adjustment
        self._begins = begins
        self._clock = clock
        self.turns: list[Turn] = []
        self.adjusted: list[Adjusted] = []
        self.skipped: list[LeftOut] = []

    def adjust(self, model: Model, schedule: Schedule, costs: Mapping[UUID, Amounts]) -> None:
        """Adjust one charge, or say why not."""
        cost, at = costs.get(model.id), self._begins or schedule.moment(self._clock)
        before = next((period.amounts for period in schedule.periods if period.is_at(at)), None)
        try:
            after = self._adjustment.apply(before, cost)
            if after == before:
                return
            self.turns.append(self._turn(schedule, after))
        except NotAdjustableError as error:
            self.skipped.append(LeftOut(model.id, model.name, error.reason))
        except PriceOverlapError as error:
            self.skipped.append(LeftOut(model.id, model.name, Skipped.PRICE_OVERLAP, str(error)))
        except ScheduleFullError as error:
            self.skipped.append(LeftOut(model.id, model.name, Skipped.SCHEDULE_FULL, str(error)))
        else:
            margins = margin_of(before, cost), margin_of(after, cost)
            self.adjusted.append(Adjusted(model.id, model.name, before, after, *margins))

    def _turn(self, schedule: Schedule, amounts: Amounts) -> Turn:
        def change(present: Schedule, now: datetime) -> Schedule:
            wanted = Period(new_id(), self._begins or now, None, True, amounts, Origin.ADMINISTRATOR)  # noqa: FBT003
            return present.set(wanted, now, new_id)

        return turned(self._session, schedule, self._clock, change)


async def _hold(session: AsyncSession, selection: Selection) -> dict[UUID, Model]:
    if isinstance(selection, PriceFilter):
        ids = await priced_models.ids_matching(session, selection, limit=MOST_AT_ONCE + 1)
        if len(ids) > MOST_AT_ONCE:
            raise TooManyModelsError(MOST_AT_ONCE)
        return await models.lock_models(session, ids)
    held = await models.lock_models(session, selection)
    for position, model_id in enumerate(selection):
        if model_id not in held or held[model_id].deleted_at is not None:
            raise DanglingReferenceError(f"ids.{position}", "model", model_id)
    return held
