"""Findings, as administrators read and acknowledge them."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.transactions import Reading, Transaction
from modelbus.integrity.actions.findings import acknowledge
from modelbus.integrity.domain.findings import STALE_KINDS, FindingKind, Resolution, Severity, State
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store.findings import UNRESOLVED, FindingFilter, page_findings, read_fault

routes = APIRouter(prefix="/api/v1/findings", tags=["findings"])
stale_routes = APIRouter(prefix="/api/v1/stale-references", tags=["findings"])


class FindingView(BaseModel):
    """A place of the configuration that breaks a rule, or did."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: FindingKind
    severity: Severity
    """`dead`: nothing is left that could serve; `degraded`: other places still can; `at_risk`: it serves now."""
    state: State
    holder_kind: HolderKind
    holder_id: UUID
    holder_name: str | None
    place: str
    """Where in the holder, for instance `step 2`, `level hard, position 1`, `default`."""
    where: str
    """Holder and place in one, readable: `chain 'prod-chat', step 2`."""
    target_kind: TargetKind
    target_id: UUID
    target_name: str | None
    """The model's name; of a source, the name of its model; of a supplier, its own."""
    reason: str
    """Why the target is not available (`delisted`, `disabled`, `deleted` ...), or what else is wrong."""
    evidence: dict[str, Any]
    """What the rule has seen."""
    since: datetime
    """When the catalog told what made it so."""
    opened_at: datetime
    opened_revision: int
    """The catalog's revision at which it was noticed."""
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    resolution: Resolution | None
    closed_at: datetime | None
    closed_revision: int | None

    @classmethod
    def of(cls, row: Any) -> "FindingView":
        """Show a finding."""
        fault = read_fault(row)
        named = {"kind": fault.kind, "where": fault.where, "holder_name": fault.holder.name}
        return cls.model_validate({**row._mapping, **named})  # noqa: SLF001 - public in SQLAlchemy


class FindingPage(BaseModel):
    """A page of findings, newest first."""

    items: list[FindingView]
    next_cursor: UUID | None


class FindingQuery(BaseModel):
    """Which findings to list."""

    model_config = ConfigDict(extra="forbid")

    kind: list[FindingKind] | None = None
    holder_kind: HolderKind | None = None
    holder_id: UUID | None = None
    severity: Severity | None = None
    target_id: UUID | None = None
    state: State | Literal["unresolved", "all"] = "unresolved"
    limit: int = Field(default=50, ge=1, le=200)
    cursor: UUID | None = None


@routes.get("")
async def list_findings(session: Reading, asked: Annotated[FindingQuery, Query()]) -> FindingPage:
    """List what is wrong with the configuration, newest first; `state=all` includes what was mended."""
    return await _page(session, asked, asked.kind)


@stale_routes.get("")
async def list_stale_references(session: Reading, asked: Annotated[FindingQuery, Query()]) -> FindingPage:
    """List references that name something unavailable, newest first: findings of the kinds `dead` and `degraded`."""
    return await _page(session, asked, asked.kind or STALE_KINDS)


@routes.post("/{finding_id}/acknowledge")
async def acknowledge_finding(session: Transaction, finding_id: UUID) -> FindingView:
    """Say that you know of a finding. It stays until it is mended, and opens again should it become `dead`."""
    return FindingView.of(await acknowledge(session, finding_id, session.info["caller"].name))


async def _page(session: AsyncSession, asked: FindingQuery, kinds: Collection[FindingKind] | None) -> FindingPage:
    wanted = FindingFilter(
        kinds=kinds,
        holder_kind=asked.holder_kind,
        holder_id=asked.holder_id,
        severity=asked.severity,
        target_id=asked.target_id,
        states=_STATES.get(asked.state) or (State(asked.state),),
    )
    rows = await page_findings(session, wanted, asked.limit + 1, asked.cursor)
    shown = rows[: asked.limit]
    return FindingPage(
        items=[FindingView.of(row) for row in shown],
        next_cursor=shown[-1].id if len(rows) > asked.limit else None,
    )


_STATES = {"unresolved": UNRESOLVED, "all": tuple(State)}
