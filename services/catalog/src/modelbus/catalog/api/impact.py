"""What a deletion or a disabling would break, asked before it is done."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.impact import impact_of
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.model_names import key_of
from modelbus.catalog.api.views import View
from modelbus.catalog.domain.references import Departure, TargetKind
from modelbus.catalog.store import credentials, models, scopes, sources, strategies, suppliers
from modelbus.chassis.transactions import Reading

routes = APIRouter(prefix="/api/v1", tags=["impact"], dependencies=GUARDS)


class Action(StrEnum):
    """What would be done."""

    DISABLE = "disable"
    DELETE = "delete"


class FindingView(View):
    """One reference that would break."""

    severity: str
    """`dead`: nothing of what the place serves is left; `degraded`: something else of the holder still serves;
    `dormant`: the holder is out of service; `orphaned`: it means nothing while its target is away."""
    holder_kind: str
    """What refers: `chain`, `split`, `complexity`, `strategy`, `scope`, `access_key`, `consumer`, `credential` or
    `model`."""
    holder_id: UUID
    holder_name: str
    place: str
    """Where in the holder, for instance `step 2`."""
    target_kind: str
    target_id: UUID
    target_name: str
    message: str
    """All of it in words."""


class ImpactView(View):
    """What would come of it."""

    action: Action
    is_refused: bool
    """Whether it needs `?force=true` or `?replace_with=`: something in service would break."""
    findings: list[FindingView]
    """The worst first."""


Asked = Annotated[Action, Query(description="What would be done.")]


@routes.get("/models/{model:path}/impact")
async def preview_model(model: str, session: Reading, action: Asked = Action.DELETE) -> ImpactView:
    """Show what deleting or disabling a model would break."""
    return await _preview(session, action, TargetKind.MODEL, (await models.get_model(session, key_of(model))).id)


@routes.get("/sources/{source_id}/impact")
async def preview_source(source_id: UUID, session: Reading, action: Asked = Action.DELETE) -> ImpactView:
    """Show what deleting or disabling a source would break; its model counts where nothing else serves it."""
    return await _preview(session, action, TargetKind.SOURCE, (await sources.get_source(session, source_id)).id)


@routes.get("/suppliers/{supplier_id}/impact")
async def preview_supplier(supplier_id: UUID, session: Reading, action: Asked = Action.DELETE) -> ImpactView:
    """Show what deleting or disabling a supplier would break, with all its sources."""
    return await _preview(session, action, TargetKind.SUPPLIER, (await suppliers.get_supplier(session, supplier_id)).id)


@routes.get("/credentials/{credential_id}/impact")
async def preview_credential(credential_id: UUID, session: Reading, action: Asked = Action.DELETE) -> ImpactView:
    """Show what deleting or disabling a credential would break; nothing, where its supplier has another that works."""
    found = await credentials.get_credential(session, credential_id)
    return await _preview(session, action, TargetKind.CREDENTIAL, found.id)


@routes.get("/cost-strategies/{strategy_id}/impact")
async def preview_strategy(strategy_id: UUID, session: Reading, action: Asked = Action.DELETE) -> ImpactView:
    """Show what deleting or disabling a cost strategy would break."""
    found = await strategies.get_strategy(session, strategy_id)
    return await _preview(session, action, TargetKind.STRATEGY, found.id)


@routes.get("/scopes/{scope_id}/impact")
async def preview_scope(scope_id: UUID, session: Reading, action: Asked = Action.DELETE) -> ImpactView:
    """Show what deleting or disabling a scope would break."""
    return await _preview(session, action, TargetKind.SCOPE, (await scopes.get_scope(session, scope_id)).id)


async def _preview(session: AsyncSession, action: Action, kind: TargetKind, key: UUID) -> ImpactView:
    departure = Departure.deleting(kind, key) if action == Action.DELETE else Departure.disabling(kind, key)
    impact = await impact_of(session, departure)
    findings = [FindingView.model_validate(finding) for finding in impact.findings]
    return ImpactView(action=action, is_refused=impact.is_refused, findings=findings)
