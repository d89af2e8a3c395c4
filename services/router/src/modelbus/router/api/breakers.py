"""The circuit breakers of this router, as an administrator sees them."""

from time import monotonic
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.table import Table
from modelbus.router.domain.breakers import Breakers, BreakerState
from modelbus.router.domain.errors import NotLoadedError


class BreakerView(BaseModel):
    """How the breaker of one source stands."""

    source_id: UUID
    supplier: str | None
    """Name of the source's supplier; null if the catalog has the source no more."""
    upstream_name: str | None
    state: str
    """`closed`: it failed lately and is called as usual; `open`: it rests, and is asked only where nobody else serves;
    `half_open`: the next request probes it."""
    failures: int
    """Within the present window."""
    reason: str
    """What failed last."""
    retry_in_s: float
    """Until it is probed."""


class BreakersView(BaseModel):
    """Sources that failed lately; all others are closed."""

    breakers: list[BreakerView]


def routes(breakers: Breakers, catalog: CatalogCopy) -> APIRouter:
    """Answer the routes over these breakers."""
    router = APIRouter(prefix="/api/v1/breakers", tags=["breakers"])

    @router.get("")
    async def list_breakers() -> BreakersView:
        """List the sources that failed lately, as this router sees them; another router may see them otherwise."""
        table = _table(catalog)
        return BreakersView(breakers=[_view(state, table) for state in breakers.states(monotonic())])

    return router


def _table(catalog: CatalogCopy) -> Table | None:
    try:
        return catalog.table
    except NotLoadedError:
        return None


def _view(state: BreakerState, table: Table | None) -> BreakerView:
    source = table.sources.get(state.source_id) if table else None
    supplier = table.suppliers.get(source.supplier_id) if table and source else None
    return BreakerView(
        source_id=state.source_id,
        supplier=supplier.name if supplier else None,
        upstream_name=source.upstream_name if source else None,
        state=state.state,
        failures=state.failures,
        reason=state.reason,
        retry_in_s=round(state.retry_in_s, 3),
    )
