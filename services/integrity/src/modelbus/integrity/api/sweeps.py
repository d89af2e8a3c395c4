"""Sweeps, as administrators ask for them and read what came of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading
from modelbus.integrity.domain.errors import SweepNotFoundError
from modelbus.integrity.store import sweeps

routes = APIRouter(prefix="/api/v1/sweeps", tags=["sweeps"])


class SweepView(BaseModel):
    """What came of a comparison of the whole index with the catalog."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    asked_by: str | None
    """Null for the one of each night."""
    started_at: datetime
    finished_at: datetime
    revision: int
    """Of the catalog, when it was compared."""
    checked: int
    """How many records were compared."""
    drift: dict[str, dict[str, int]]
    """What differed and was mended: `missing`, `differing`, `surplus` or `misread`, then the kind of record. Empty is
    as it should be."""
    opened: int
    """Findings that came of it."""
    closed: int


class SweepPage(BaseModel):
    """A page of sweeps, newest first."""

    items: list[SweepView]
    next_cursor: UUID | None


class SweepQuery(BaseModel):
    """Which sweeps to list."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=200)
    cursor: UUID | None = None


@routes.post("", status_code=201)
async def sweep(request: Request) -> SweepView:
    """Compare the whole index with the catalog now, mend what differs, and judge everything.

    Takes some seconds where something differs: what may only not have been heard yet is looked at again.
    """
    return SweepView.model_validate(await request.app.state.audit.sweep(request.state.caller.name))


@routes.get("")
async def list_sweeps(session: Reading, asked: Annotated[SweepQuery, Query()]) -> SweepPage:
    """List what came of the sweeps of each night and of those that were asked for, newest first."""
    found = await sweeps.page(session, asked.limit + 1, asked.cursor)
    shown = found[: asked.limit]
    return SweepPage(
        items=[SweepView.model_validate(each) for each in shown],
        next_cursor=shown[-1].id if len(found) > asked.limit else None,
    )


@routes.get("/{sweep_id}")
async def show_sweep(session: Reading, sweep_id: UUID) -> SweepView:
    """Show what came of a sweep."""
    found = await sweeps.find(session, sweep_id)
    if found is None:
        raise SweepNotFoundError(f"no sweep has the id {sweep_id}")
    return SweepView.model_validate(found)
