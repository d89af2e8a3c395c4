"""Who says what of a source, and from when on it is out of service for it."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter

from modelbus.catalog.api.views import View
from modelbus.catalog.store import health, sources
from modelbus.chassis.transactions import Reading

routes = APIRouter(prefix="/api/v1/sources", tags=["sources"])


class ClaimView(View):
    """What one observer says."""

    observer: str
    """`sync`, which looks at suppliers, or a router by its id."""
    is_of_supplier: bool
    """Whether it is said of all sources of the supplier."""
    health: str
    since: datetime
    observed_at: datetime
    reason: str | None


class HealthView(View):
    """What is held of a source, and why."""

    health: str
    unhealthy_at: datetime | None
    """When it is out of service for being down; null while it is not down."""
    claims: list[ClaimView]


@routes.get("/{source_id}/health")
async def show_health(source_id: UUID, session: Reading) -> HealthView:
    """Show what observers say of a source and of its supplier."""
    source = await sources.get_source(session, source_id)
    claims = await health.list_claims(session, source.supplier_id, source_id)
    return HealthView(
        health=source.health,
        unhealthy_at=source.unhealthy_at,
        claims=[ClaimView.model_validate(claim) for claim in claims],
    )
