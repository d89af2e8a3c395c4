"""One model's or one source's prices over REST: at any time, to come, and all that there were."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.api.amounts import AmountsView, Moment
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.history import InTime
from modelbus.catalog.api.margins import Blended, MarginView
from modelbus.catalog.api.model_names import Model, key_of
from modelbus.catalog.api.views import Page, Shown, View
from modelbus.catalog.domain.price_states import PriceState
from modelbus.catalog.store import price_standings as store
from modelbus.catalog.store import prices
from modelbus.catalog.store.by_time import ByTime, cursor_of
from modelbus.catalog.store.prices import CHARGES, COSTS, Book
from modelbus.chassis.transactions import Reading

routes = APIRouter(prefix="/api/v1", tags=["prices"], dependencies=GUARDS)

AsOf = Annotated[Moment | None, Query(description="The time that is asked about; now where left out.")]


class PeriodView(View):
    """A price with the time in which it is in force."""

    id: UUID
    valid_from: datetime = Field(validation_alias="begins")
    valid_until: datetime | None = Field(validation_alias="ends")
    """The first moment at which it is no longer in force; null while no end is known."""
    is_open: bool
    """Whether it lasts until another begins."""
    prices: AmountsView = Field(validation_alias="amounts")
    origin: str
    """Who said it: `listing` or `administrator`."""


class KeptPeriodView(PeriodView):
    """A price as it is kept, whatever became of it."""

    state: str
    """`coming`, `in_force`, `over`, or `withdrawn` before it began."""


class SourceMarginView(View):
    """A source of a model, and what is left of the model's charge over it."""

    source_id: UUID
    supplier_id: UUID
    supplier_name: str
    upstream_name: str
    is_available: bool
    """Whether routing may use it now."""
    cost: AmountsView | None
    margin: MarginView


class ModelPricesView(View):
    """What a model is charged, and what is left over each of its sources."""

    model_id: UUID
    model_name: str
    state: PriceState | None
    """`priced`, `pending` or `orphaned`, now; null where it is not available and has no price."""
    deprecated_at: datetime | None
    """Since when its price waits for it to be available again."""
    as_of: datetime
    in_force: PeriodView | None
    """The price at that time."""
    coming: list[PeriodView]
    """The prices that begin later, the next first."""
    sources: list[SourceMarginView]
    """The preferred one first, with its cost at that time."""
    version: int
    """Grows with every change by hand; the ETag."""


class SourcePricesView(View):
    """What a source costs, and what is left of its model's charge."""

    source_id: UUID
    model_id: UUID
    supplier_id: UUID
    upstream_name: str
    as_of: datetime
    in_force: PeriodView | None
    """The price at that time."""
    coming: list[PeriodView]
    """The prices that begin later, the next first."""
    charge: AmountsView | None
    """What its model is charged at that time."""
    margin: MarginView
    version: int
    """Grows with every change by hand; the ETag."""


@routes.get("/models/{model:path}/prices")
async def show_model_prices(
    model: Model, session: Reading, answer: Shown, blend: Blended, as_of: AsOf = None
) -> ModelPricesView:
    """Show what a model is charged, now or at any time, and what is left over each of its sources."""
    found = await store.model_prices(session, key_of(model), as_of or datetime.now(UTC), blend)
    return answer(ModelPricesView, found)


@routes.get("/models/{model:path}/prices/history")
async def list_model_prices(model: Model, session: Reading, page: InTime) -> Page[KeptPeriodView]:
    """List every price that a model had, has and will have, the newest first."""
    return await _history(session, CHARGES, await store.find_model_id(session, key_of(model)), page)


@routes.get("/sources/{source_id}/prices")
async def show_source_prices(
    source_id: UUID, session: Reading, answer: Shown, blend: Blended, as_of: AsOf = None
) -> SourcePricesView:
    """Show what a source costs, now or at any time, and what is left of its model's charge."""
    found = await store.source_prices(session, source_id, as_of or datetime.now(UTC), blend)
    return answer(SourcePricesView, found)


@routes.get("/sources/{source_id}/prices/history")
async def list_source_prices(source_id: UUID, session: Reading, page: InTime) -> Page[KeptPeriodView]:
    """List every price that a source had, has and will have, the newest first."""
    return await _history(session, COSTS, await store.find_source_id(session, source_id), page)


async def _history(session: AsyncSession, book: Book, owner_id: UUID, page: ByTime) -> Page[KeptPeriodView]:
    found = await prices.list_periods(session, book, owner_id, page=page)
    shown = found[: page.limit]
    return Page(
        items=[KeptPeriodView.model_validate(each) for each in shown],
        next_cursor=cursor_of(shown[-1].begins, shown[-1].id) if len(found) > page.limit else None,
    )
