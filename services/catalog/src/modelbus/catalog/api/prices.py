"""Prices over REST: what models are charged, and what sources cost when somebody knows better than a listing."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import prices as actions
from modelbus.catalog.api.amounts import AmountsView, CostAmounts, Moment
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.made import made
from modelbus.catalog.api.margins import Blended, MarginView
from modelbus.catalog.api.model_list import ModelQuery
from modelbus.catalog.api.price_standings import ModelPricesView, PeriodView, SourcePricesView
from modelbus.catalog.api.views import Answer, Changes, Input, Page, Shown, View, page_of, sorted_by
from modelbus.catalog.domain.margins import DEFAULT_BLEND, Basis
from modelbus.catalog.domain.price_states import PriceState
from modelbus.catalog.domain.prices import Schedule
from modelbus.catalog.store import price_standings
from modelbus.catalog.store import priced_models as store
from modelbus.catalog.store.paging import Paging
from modelbus.catalog.store.priced_models import MarginSign, PriceFilter
from modelbus.catalog.store.prices import CHARGES, COSTS
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/prices", tags=["prices"], route_class=OnceRoute, dependencies=GUARDS)

_STATE = "`priced`; `pending`: available, without a price; `orphaned`: with a price, but not available."
_OVER = "Over which of a model's available sources its margin is."


class PricedModelView(View):
    """A model that has a price, or should."""

    model_id: UUID = Field(validation_alias="id")
    model_name: str = Field(validation_alias="name")
    display_name: str
    model_type: str
    is_available: bool
    state: PriceState
    """`priced`, `pending` (available, without a price) or `orphaned` (with a price, but not available)."""
    deprecated_at: datetime | None
    """Since when its price waits for it to be available again; null unless it is orphaned."""
    charge: PeriodView | None
    """What it is charged now."""
    source_id: UUID | None
    """The available source that its margin is over."""
    supplier_id: UUID | None
    cost: AmountsView | None
    """What that source costs now."""
    margin: MarginView


class PricePage(Page[PricedModelView]):
    """One page of models with their prices."""

    total: int | None
    """How many match in all; null unless asked for by `?total=true`."""


class NewPrice(Input):
    """A price of one model, or of one source, from a time on."""

    model_id: UUID | None = None
    """What consumers are charged for this model."""
    source_id: UUID | None = None
    """What this source costs; no listing says otherwise while that is in force."""
    prices: CostAmounts
    valid_from: Moment | None = None
    """When it comes into force; at once where left out. A price without an end that is in force then makes way."""
    valid_until: Moment | None = None
    """The first moment at which it is no longer in force; the price that made way then goes on. Null: no end."""

    @model_validator(mode="after")
    def _is_of_one_thing(self) -> Self:
        if (self.model_id is None) == (self.source_id is None):
            raise ValueError("must hold either model_id or source_id")
        return self


class PriceChanges(Changes):
    """Fields to change; amounts that are given replace all that there were."""

    prices: CostAmounts = CostAmounts()
    valid_from: Moment = None  # type: ignore[assignment]  # left out, or a moment: null is refused
    valid_until: Moment | None = None
    """Null lets it last until another begins."""

    def fields(self) -> dict[str, Any]:
        """Answer what changes, as the action takes it."""
        given = self.model_fields_set
        names = {"valid_from": "begins", "valid_until": "ends"}
        told: dict[str, Any] = {names[name]: getattr(self, name) for name in names if name in given}
        return {**told, "amounts": self.prices.amounts()} if "prices" in given else told


@routes.get("")
async def list_prices(  # noqa: PLR0913, PLR0917 - each is a filter of its own in the query string
    session: Reading,
    paging: Annotated[Paging, sorted_by("name", "display_name")],
    query: Annotated[ModelQuery, made(ModelQuery)],
    blend: Blended,
    state: Annotated[PriceState | None, Query(description=_STATE)] = None,
    margin: Annotated[MarginSign | None, Query(description="`negative`: some unit is charged below its cost.")] = None,
    over: Annotated[Basis, Query(description=_OVER)] = Basis.CHEAPEST,
    total: Annotated[bool, Query(description="Count all that match as well.")] = False,  # noqa: FBT002 - by keyword
) -> PricePage:
    """List models that are available or have a price, with what they are charged, what they cost and what is left."""
    wanted = PriceFilter(query.wanted(), state, margin, over, blend)
    found = page_of(PricedModelView, await store.list_prices(session, wanted, paging=paging), paging)
    counted = await store.count_prices(session, wanted) if total else None
    return PricePage(items=found.items, next_cursor=found.next_cursor, total=counted)


@routes.post("", status_code=201)
async def set_price(new: NewPrice, session: Transaction, answer: Shown) -> ModelPricesView | SourcePricesView:
    """Charge for a model, or know what a source costs, from a time on.

    Refused where another price begins, or is to end, within the period: `findings` name it.
    """
    book = COSTS if new.model_id is None else CHARGES
    owner_id = new.model_id or new.source_id
    assert owner_id is not None  # noqa: S101 - the input holds one of both
    schedule = await actions.set_price(session, book, owner_id, new.prices.amounts(), new.valid_from, new.valid_until)
    return await _standing(session, schedule, answer)


@routes.patch("/{price_id}")
async def change_price(
    price_id: UUID, changes: PriceChanges, session: Transaction, answer: Shown
) -> ModelPricesView | SourcePricesView:
    """Change a price that is not in force yet; of one that is, only when it ends.

    What has been in force is history, by which requests were priced: it is never changed.
    """
    schedule = await actions.change_price(session, price_id, changes.fields())
    return await _standing(session, schedule, answer)


@routes.post("/{price_id}/end")
async def end_price(price_id: UUID, session: Transaction, answer: Shown) -> ModelPricesView | SourcePricesView:
    """End a price that is in force, now; what a source costs is then said by its next listing."""
    return await _standing(session, await actions.end_price(session, price_id), answer)


@routes.delete("/{price_id}", status_code=204)
async def withdraw_price(price_id: UUID, session: Transaction) -> None:
    """Take back a price that is not in force yet; the one that would have made way goes on."""
    await actions.withdraw_price(session, price_id)


async def _standing(session: AsyncSession, schedule: Schedule, answer: Answer) -> ModelPricesView | SourcePricesView:
    at = schedule.moment(datetime.now(UTC))
    if schedule.model_id is not None:
        found = await price_standings.model_prices(session, schedule.model_id, at, DEFAULT_BLEND)
        return answer(ModelPricesView, found)
    return answer(SourcePricesView, await price_standings.source_prices(session, schedule.id, at, DEFAULT_BLEND))
