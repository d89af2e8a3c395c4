"""Sources over REST."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from modelbus.catalog.actions import sources as actions
from modelbus.catalog.api.amounts import CostAmounts
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.labels import Word
from modelbus.catalog.api.made import made
from modelbus.catalog.api.references import Breaking
from modelbus.catalog.api.views import Changes, Input, Name, Page, Shown, View, page_of, sorted_by
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.sources import Health, Origin
from modelbus.catalog.domain.suppliers import Protocol
from modelbus.catalog.store import sources as store
from modelbus.catalog.store.paging import Paging
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction
from modelbus.contracts.records import CostPrices

routes = APIRouter(prefix="/api/v1/sources", tags=["sources"], route_class=OnceRoute, dependencies=GUARDS)

Priority = Annotated[int, Field(ge=0, le=1000, description="Lower is tried first.")]
Weight = Annotated[int, Field(ge=1, le=1000, description="Share among sources of equal priority.")]
Features = Annotated[dict[Word, bool], Field(max_length=50)]


class NewSource(Input):
    """An offer made known by hand; listings make most of them."""

    model_id: UUID
    supplier_id: UUID
    upstream_name: Name
    """What the supplier calls the model."""
    is_enabled: bool = True
    priority: Priority = 100
    weight: Weight = 1
    protocol: Protocol | None = None
    """How requests to this offer are spoken; null means like the supplier."""
    features: Features | None = None
    """What this offer can do otherwise than its model: capability name to whether it has it."""
    cost: CostAmounts = CostAmounts()

    def fields(self) -> dict[str, Any]:
        """Answer what the source is made of."""
        return {**self.model_dump(exclude={"cost"}), "cost": self.cost.told()}


class SourceChanges(Changes):
    """Fields to change; a field that may be emptied takes null."""

    is_enabled: bool = True
    priority: Priority = 100
    weight: Weight = 1
    protocol: Protocol | None = None
    features: Features | None = None


class SourceView(View):
    """A source as administrators see it."""

    id: UUID
    model_id: UUID
    supplier_id: UUID
    upstream_name: str
    origin: str
    is_enabled: bool
    missed: int
    """Listings in a row that did not name it."""
    is_available: bool
    reason: str | None
    since: datetime
    health: str
    """What probes and traffic say right now: `healthy`, `degraded`, `down` or `unknown`."""
    priority: int
    weight: int
    protocol: str | None
    features: dict[str, bool] | None
    cost: CostPrices
    deprecated_at: datetime | None
    """From when on the supplier advises against it, as its listing says."""
    retires_at: datetime | None
    """From when on the supplier does not serve it, as its listing says."""
    replacement: str | None
    """The upstream name of what the supplier would have used instead."""
    first_seen_at: datetime
    last_seen_at: datetime
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


_SEARCH = "Part of the upstream name, in any case."


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceQuery:
    """What a list of sources is narrowed to; what is left out leaves it open."""

    model_id: UUID | None = None
    supplier_id: UUID | None = None
    upstream_name: Annotated[str | None, Query(max_length=200, description="The whole of it.")] = None
    search: Annotated[str | None, Query(max_length=200, description=_SEARCH)] = None
    is_available: bool | None = None
    reason: Annotated[Reason | None, Query(description="Why they are not available.")] = None
    health: Health | None = None
    origin: Origin | None = None
    is_enabled: bool | None = None


@routes.get("")
async def list_sources(
    session: Reading,
    paging: Annotated[Paging, sorted_by("upstream_name", "priority", "updated_at")],
    query: Annotated[SourceQuery, made(SourceQuery)],
) -> Page[SourceView]:
    """List sources in order of creation."""
    wanted = store.SourceFilter(**asdict(query))
    return page_of(SourceView, await store.list_sources(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_source(new: NewSource, session: Transaction, answer: Shown) -> SourceView:
    """Add an offer by hand; no listing ever removes it."""
    return answer(SourceView, await actions.create_source(session, new.fields()))


@routes.get("/{source_id}")
async def show_source(source_id: UUID, session: Reading, answer: Shown) -> SourceView:
    """Show a source."""
    return answer(SourceView, await store.get_source(session, source_id))


@routes.patch("/{source_id}")
async def change_source(
    source_id: UUID, changes: SourceChanges, session: Transaction, answer: Shown, breaking: Breaking
) -> SourceView:
    """Change some fields of a source."""
    return answer(SourceView, await actions.change_source(session, source_id, changes.given(), breaking))


@routes.delete("/{source_id}", status_code=204)
async def delete_source(source_id: UUID, session: Transaction, breaking: Breaking) -> None:
    """Delete an offer; the next listing that names it brings it back. To keep it away, disable it."""
    await actions.delete_source(session, source_id, breaking)


@routes.post("/{source_id}/enable")
async def enable_source(source_id: UUID, session: Transaction, answer: Shown) -> SourceView:
    """Put a source into service."""
    return answer(SourceView, await actions.change_source(session, source_id, {"is_enabled": True}))


@routes.post("/{source_id}/disable")
async def disable_source(source_id: UUID, session: Transaction, answer: Shown, breaking: Breaking) -> SourceView:
    """Take a source out of service; a model served by no other source becomes unavailable."""
    return answer(SourceView, await actions.change_source(session, source_id, {"is_enabled": False}, breaking))
