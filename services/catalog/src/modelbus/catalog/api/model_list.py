"""The list of models over REST, each with its sources, health and costs."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query, Response

from modelbus.catalog.api.amounts import AmountsView
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.made import made
from modelbus.catalog.api.margins import MarginView
from modelbus.catalog.api.models import ModelView
from modelbus.catalog.api.older_models import OlderModelView, OlderNames
from modelbus.catalog.api.older_shapes import Compat, beside
from modelbus.catalog.api.views import Page, View, sorted_by
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.models import Lifecycle, ModelType, Tier
from modelbus.catalog.domain.price_states import PriceState
from modelbus.catalog.domain.sources import Health
from modelbus.catalog.store import model_list as store
from modelbus.catalog.store.model_list import SORTED_BY, ListedModel
from modelbus.catalog.store.paging import Paging
from modelbus.chassis.transactions import Reading
from modelbus.contracts.records import CostPrices

routes = APIRouter(prefix="/api/v1/models", tags=["models"], dependencies=GUARDS)

_SEARCH = "Words that all have to be part of the name, display name, custom name, an alias or the description."
_SUPPLIER = "Models that this supplier offers."
_TAG = "Models that bear this tag, by hand or by rule."
_CATEGORY = "Models in this category, or in any below it."
_HEALTH = "The best health among the available sources; a model without one has none."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelQuery:
    """What a selection of models is narrowed to; what is left out leaves it open."""

    search: Annotated[str | None, Query(max_length=200, description=_SEARCH)] = None
    supplier_id: Annotated[UUID | None, Query(description=_SUPPLIER)] = None
    model_type: ModelType | None = None
    sub_type: Annotated[str | None, Query(max_length=200)] = None
    tag_id: Annotated[UUID | None, Query(description=_TAG)] = None
    category_id: Annotated[UUID | None, Query(description=_CATEGORY)] = None
    capability_id: UUID | None = None
    tier: Tier | None = None
    lifecycle: Lifecycle | None = None
    reason: Annotated[Reason | None, Query(description="Why they are not available.")] = None
    health: Annotated[Health | None, Query(description=_HEALTH)] = None
    price_state: PriceState | None = None
    is_active: bool | None = None
    is_available: bool | None = None
    is_featured: bool | None = None
    is_default: bool | None = None

    def wanted(self) -> store.ModelFilter:
        """Answer it as the store takes it."""
        return store.ModelFilter(**asdict(self))


class ListedSourceView(View):
    """A source of a listed model."""

    id: UUID
    model_id: UUID
    supplier_id: UUID
    supplier_name: str
    upstream_name: str
    is_enabled: bool
    is_available: bool
    reason: str | None
    """Why it is not available."""
    health: str
    priority: int
    weight: int
    cost: CostPrices


class ListedModelView(ModelView):
    """A model with what serves it."""

    sources: list[ListedSourceView]
    """The preferred one first."""
    source_count: int
    available_source_count: int
    health: Health | None
    """The best among the available sources; null where there is none."""
    price_state: PriceState | None
    """`priced`, `pending` (available without a price) or `orphaned` (priced, but not available)."""
    charge: AmountsView | None
    """What consumers are charged now."""
    cheapest_cost: AmountsView | None
    """Of the cheapest available source, by three tokens read to one written; null where no cost is known."""
    margin: MarginView
    """What is left of the charge at the cheapest source."""
    model_configs: list[OlderModelView] | None = beside("Its rows of direct suppliers.")
    aggregator_models: list[OlderModelView] | None = beside("Its rows of aggregators.")


class ModelPage(Page[ListedModelView]):
    """One page of models."""

    total: int | None
    """How many match in all; null unless asked for by `?total=true`, as counting reads every one of them."""


_TOTAL = "Count all that match as well."


@routes.get("", response_model=ModelPage)
async def list_models(
    session: Reading,
    paging: Annotated[Paging, sorted_by(*SORTED_BY)],
    query: Annotated[ModelQuery, made(ModelQuery)],
    total: Annotated[bool, Query(description=_TOTAL)] = False,  # noqa: FBT002 - FastAPI passes by keyword
    compat: Compat = None,
) -> Response:
    """List models with their sources, in order of creation."""
    wanted = query.wanted()
    listed, cursor = await store.list_models(session, wanted, paging=paging)
    counted = await store.count_models(session, wanted) if total else None
    items = [_shown(each) for each in listed]
    if compat:
        names = await OlderNames.read(session)
        items = [item | names.rows_of(each) for item, each in zip(items, listed, strict=True)]
    page = {"items": items, "next_cursor": cursor, "total": counted}
    # A page may hold thousands of sources; to validate our own rows once more would take longer than all the rest.
    return Response(msgspec.json.encode(page), media_type="application/json")


def _shown(listed: ListedModel) -> dict[str, Any]:
    return {
        **ModelView.model_validate(listed.model).model_dump(),
        "sources": listed.sources,
        "source_count": len(listed.sources),
        "available_source_count": len(listed.available),
        "health": listed.health,
        "price_state": listed.price_state,
        "charge": listed.standing.charge,
        "cheapest_cost": listed.standing.cost,
        "margin": MarginView.model_validate(listed.margin).model_dump(),
    }
