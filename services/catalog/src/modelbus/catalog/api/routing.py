"""What routing configuration may refer to, over REST."""

from itertools import groupby
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.views import Cursor, Page, View
from modelbus.catalog.domain.models import ModelType, Tier
from modelbus.catalog.store import available_models as store
from modelbus.catalog.store.available_models import AvailableModelFilter, AvailableModelRow
from modelbus.catalog.store.paging import Paging
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.transactions import Reading
from modelbus.contracts.records import CostPrices

routes = APIRouter(prefix="/api/v1/routing", tags=["routing"], dependencies=GUARDS)

MOST = 1000
Label = Annotated[str | None, Query(max_length=200, description="By name.")]


class AvailableModel(View):
    """A model that a supplier serves right now."""

    model_id: UUID
    source_id: UUID
    """Its source at this supplier, for steps that are to go exactly there."""
    name: str
    display_name: str
    upstream_name: str
    model_type: str
    tier: str
    context_window: int | None
    is_featured: bool
    capabilities: list[str]
    tags: list[str]
    """Given by hand and by rule."""
    priority: int
    health: str
    cost: CostPrices
    """What the supplier bills."""


class SupplierGroup(View):
    """What one supplier serves right now; a supplier that does not end with the page goes on with the next."""

    supplier_id: UUID
    supplier_name: str
    supplier_display_name: str
    supplier_kind: str
    models: list[AvailableModel]


@routes.get(
    "/available-models",
    response_model=Page[SupplierGroup],
    responses={304: {"description": "Nothing has changed since the ETag."}},
)
async def list_available_models(  # noqa: PLR0913, PLR0917 - each is a filter of its own in the query string
    request: Request,
    response: Response,
    session: Reading,
    supplier_id: UUID | None = None,
    model_type: ModelType | None = None,
    tier: Tier | None = None,
    is_featured: bool | None = None,  # noqa: FBT001 - FastAPI passes by keyword
    capability: Label = None,
    tag: Label = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of the name, in any case.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST, description="Models per page.")] = 200,
    cursor: Cursor = None,
) -> Page[SupplierGroup] | Response:
    """List what chains, levels, strategies and scopes may refer to, supplier by supplier; `If-None-Match` is taken."""
    head = await outbox.read_head(session)
    etag = f'"{head.epoch}-{head.revision}"'
    if etag in [each.strip() for each in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    wanted = AvailableModelFilter(supplier_id, model_type, tier, is_featured, capability, tag, search)
    paging = Paging.read(limit, store.SORT, cursor)
    found = await store.list_available_models(session, wanted, paging)
    shown = found[:limit]
    return Page(
        items=[_group(list(rows)) for _supplier, rows in groupby(shown, key=lambda row: row.supplier_id)],
        next_cursor=paging.cursor_after(shown[-1]) if len(found) > limit else None,
    )


def _group(found: list[AvailableModelRow]) -> SupplierGroup:
    first = found[0]
    return SupplierGroup(
        supplier_id=first.supplier_id,
        supplier_name=first.supplier_name,
        supplier_display_name=first.supplier_display_name,
        supplier_kind=first.supplier_kind,
        models=[AvailableModel.model_validate(row) for row in found],
    )
