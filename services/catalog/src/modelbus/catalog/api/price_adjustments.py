"""Adjusting of many charges over REST."""

from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field, model_validator

from modelbus.catalog.actions import price_adjustments as actions
from modelbus.catalog.api.amounts import AmountsView, ChargeAmounts, Moment
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.margins import MarginView
from modelbus.catalog.api.model_list import ModelQuery
from modelbus.catalog.api.references import each_once
from modelbus.catalog.api.views import Input, View
from modelbus.catalog.domain.bulk import MOST_AT_ONCE
from modelbus.catalog.domain.margins import Basis
from modelbus.catalog.domain.price_adjustments import (
    Adjustment,
    ByPercent,
    Mode,
    Rounding,
    Skipped,
    ToAmounts,
    ToMargin,
)
from modelbus.catalog.domain.price_states import PriceState
from modelbus.catalog.domain.prices import UNITS
from modelbus.catalog.store.priced_models import MarginSign, PriceFilter
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Transaction

routes = APIRouter(prefix="/api/v1/prices", tags=["prices"], route_class=OnceRoute, dependencies=GUARDS)

Unit = Literal["input", "output", "cached_input", "cache_write", "reasoning", "request", "image"]
Percent = Annotated[Decimal, Field(ge=-100, le=1000, max_digits=10, decimal_places=6, allow_inf_nan=False)]
MarginPercent = Annotated[Decimal, Field(ge=-1000, lt=100, max_digits=10, decimal_places=6, allow_inf_nan=False)]
Step = Annotated[Decimal, Field(gt=0, le=1000, max_digits=18, decimal_places=9, allow_inf_nan=False)]


class PriceQuery(Input):
    """Which models: those that match all that is given."""

    models: ModelQuery = Field(default_factory=ModelQuery)
    """As in the query of the list of models."""
    state: PriceState | None = None
    margin: MarginSign | None = None
    over: Basis = Basis.CHEAPEST
    """Which source `margin` is over."""

    def wanted(self) -> PriceFilter:
        """Answer it as the store takes it."""
        return PriceFilter(self.models.wanted(), self.state, self.margin, self.over)


class TargetMargin(Input):
    """A margin that is to be reached, in every unit whose cost is known."""

    percent: MarginPercent
    """Of the charge: 20 charges 1.25 for a cost of 1."""
    over: Basis = Basis.CHEAPEST
    """Over which of a model's available sources."""


class NewAmounts(Input):
    """Exactly one way to reckon."""

    percent: Percent | None = None
    """So much more, or less if below zero."""
    target_margin: TargetMargin | None = None
    set: ChargeAmounts | None = None
    """These amounts; what is null stays."""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if sum(each is not None for each in (self.percent, self.target_margin, self.set)) != 1:
            raise ValueError("must hold exactly one of percent, target_margin, set")
        if self.set is not None and self.set.amounts().is_unknown:
            raise ValueError("set must hold at least one amount")
        return self

    def by(self) -> ByPercent | ToMargin | ToAmounts:
        """Answer it as the domain takes it."""
        if self.percent is not None:
            return ByPercent(self.percent)
        if self.target_margin is not None:
            return ToMargin(self.target_margin.percent, self.target_margin.over)
        assert self.set is not None  # noqa: S101 - the input holds one of the three
        return ToAmounts(self.set.amounts())


class RoundingRule(Input):
    """How each new amount is rounded."""

    mode: Mode = Mode.HALF_EVEN
    to: Step = Decimal("0.000001")
    """To multiples of this."""


class NewAdjustment(Input):
    """A change of many charges: of the models that are named, or of all that match."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    filter: PriceQuery | None = None
    """`{}` matches every model that is available or has a price."""
    by: NewAmounts
    units: Annotated[list[Unit], Field(min_length=1), AfterValidator(each_once)] = Field(
        default_factory=lambda: list(_ALL_UNITS)
    )
    """The units that it is done to; the others stay as they are."""
    rounding: RoundingRule = Field(default_factory=RoundingRule)
    valid_from: Moment | None = None
    """When the new charges come into force; at once where left out."""
    preview: bool = False
    """Do nothing, and answer exactly what would come of it."""

    @model_validator(mode="after")
    def _selects_once(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("must hold either ids or filter")
        if self.ids is not None:
            each_once(self.ids)
        return self

    def adjustment(self) -> Adjustment:
        """Answer it as the domain takes it."""
        return Adjustment(self.by.by(), tuple(self.units), Rounding(self.rounding.mode, self.rounding.to))


class AdjustedView(View):
    """A model with another charge than before."""

    model_id: UUID
    model_name: str
    before: AmountsView | None
    """The charge that would have been in force at that time."""
    after: AmountsView
    margin_before: MarginView
    """Over the source that the target is over, or else over the cheapest."""
    margin_after: MarginView


class LeftOutView(View):
    """A model whose charge stays as it is because it can't be adjusted so."""

    model_id: UUID
    model_name: str
    reason: Skipped
    """`too_dear`: above what may be charged; `rounds_to_zero`: it would be given away by rounding alone."""
    message: str | None


class AdjustmentsView(View):
    """What came of it, or would."""

    preview: bool
    matched: int
    """Models that were selected."""
    changed: int
    unchanged: int
    """Models whose charge is already what it would be."""
    adjusted: list[AdjustedView]
    """Those whose charge changes, in order of creation."""
    skipped: list[LeftOutView]


_ALL_UNITS: tuple[Any, ...] = UNITS


@routes.post("/adjust")
async def adjust_prices(new: NewAdjustment, session: Transaction) -> AdjustmentsView:
    """Change the charges of many models in one transaction, or show with `preview` what would come of it."""
    selection = new.filter.wanted() if new.filter is not None else new.ids or []
    done = await actions.adjust_prices(session, selection, new.adjustment(), new.valid_from, preview=new.preview)
    return AdjustmentsView(
        preview=new.preview,
        matched=done.matched,
        changed=len(done.adjusted),
        unchanged=done.unchanged,
        adjusted=[AdjustedView.model_validate(each) for each in done.adjusted],
        skipped=[LeftOutView.model_validate(each) for each in done.skipped],
    )
