"""Findings of stale references, as administrators read them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.service import Reading
from modelbus.integrity.domain.findings import FindingKind, Resolution, Severity, State
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store.findings import FindingFilter, page_findings

routes = APIRouter(prefix="/api/v1/stale-references", tags=["stale references"])


class FindingView(BaseModel):
    """A reference that names something unavailable, or did."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: FindingKind
    severity: Severity
    """`dead`: nothing is left that could serve; `degraded`: other places still can."""
    state: State
    holder_kind: HolderKind
    holder_id: UUID
    holder_name: str | None
    place: str
    """Where in the holder, for instance `step 2`, `level hard, position 1`, `default`."""
    target_kind: TargetKind
    target_id: UUID
    target_name: str | None
    """The model's name; of a source, the name of its model."""
    reason: str
    """Why the target is not available: `delisted`, `disabled`, `deleted` ..."""
    since: datetime
    """When the catalog told what made the reference stale."""
    opened_at: datetime
    opened_revision: int
    """The catalog's revision at which it was noticed."""
    resolution: Resolution | None
    closed_at: datetime | None
    closed_revision: int | None


class FindingPage(BaseModel):
    """A page of findings, newest first."""

    items: list[FindingView]
    next_cursor: UUID | None


class FindingQuery(BaseModel):
    """Which findings to list."""

    model_config = ConfigDict(extra="forbid")

    holder_kind: HolderKind | None = None
    holder_id: UUID | None = None
    severity: Severity | None = None
    target_id: UUID | None = None
    state: State | Literal["all"] = State.OPEN
    limit: int = Field(default=50, ge=1, le=200)
    cursor: UUID | None = None


@routes.get("")
async def list_stale_references(session: Reading, asked: Annotated[FindingQuery, Query()]) -> FindingPage:
    """List references that name something unavailable, newest first; `state=all` includes those that were mended."""
    wanted = FindingFilter(
        holder_kind=asked.holder_kind,
        holder_id=asked.holder_id,
        severity=asked.severity,
        target_id=asked.target_id,
        state=asked.state if isinstance(asked.state, State) else None,
    )
    rows = await page_findings(session, wanted, asked.limit + 1, asked.cursor)
    shown: list[Any] = list(rows[: asked.limit])
    return FindingPage(
        items=[FindingView.model_validate(row) for row in shown],
        next_cursor=shown[-1].id if len(rows) > asked.limit else None,
    )
