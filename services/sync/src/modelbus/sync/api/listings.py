"""Listings that the guard keeps back: what they would change, and what an administrator decides."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from modelbus.chassis.transactions import Reading, Transaction
from modelbus.sync.actions import reviews
from modelbus.sync.store import runs

routes = APIRouter(prefix="/api/v1/listings", tags=["listings"])


class FieldChange(BaseModel):
    """A field of a model, as the last applied listing has it and as this one has it."""

    before: Any
    after: Any


class ModelChange(BaseModel):
    """One model that would come, go or change."""

    upstream_name: str
    change: str
    """`added`, `removed` or `changed`."""
    fields: dict[str, FieldChange]
    """What a change is about; empty for a model that comes or goes."""


class Review(BaseModel):
    """A listing beside the one that was applied last before it was judged."""

    run_id: UUID
    supplier_id: UUID
    status: str
    """As the run's; `quarantined` waits for a decision."""
    reasons: list[str]
    base_run_id: UUID | None
    """The run whose listing it is compared with; null when none had been applied."""
    decided_by: str | None
    added: int
    removed: int
    changed: int
    items: list[ModelChange]
    """A page of the differences, in order of name."""
    next_cursor: str | None


class Decision(BaseModel):
    """The run after the decision."""

    run_id: UUID
    status: str
    decided_by: str | None


@routes.get("/{run_id}")
async def show_listing(
    run_id: UUID,
    session: Reading,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> Review:
    """Show what a listing would change."""
    run = await runs.find_run(session, run_id)
    differences = await reviews.compare(session, run)
    counts = {word: sum(each.change == word for each in differences) for word in ("added", "removed", "changed")}
    rest = [each for each in differences if each.upstream_name > cursor]
    items = [view_of(each) for each in rest[:limit]]
    return Review(
        run_id=run.id,
        supplier_id=run.supplier_id,
        status=run.status,
        reasons=run.suspicions or [],
        base_run_id=run.base_run_id,
        decided_by=run.decided_by,
        items=items,
        next_cursor=items[-1].upstream_name if len(rest) > limit else None,
        **counts,
    )


@routes.post("/{run_id}/apply", status_code=202)
async def apply_listing(run_id: UUID, session: Transaction, request: Request) -> Decision:
    """Hand a quarantined listing to the catalog; asked twice, it is handed over once."""
    run = await reviews.apply_quarantined(session, run_id, request.state.caller.name)
    return Decision(run_id=run.id, status=run.status, decided_by=run.decided_by)


@routes.post("/{run_id}/discard")
async def discard_listing(run_id: UUID, session: Transaction, request: Request) -> Decision:
    """Leave the catalog as it is; the next listing is judged anew."""
    run = await reviews.discard_quarantined(session, run_id, request.state.caller.name)
    return Decision(run_id=run.id, status=run.status, decided_by=run.decided_by)


def view_of(difference: reviews.Difference) -> ModelChange:
    """Show one difference."""
    fields = {name: FieldChange(before=old, after=new) for name, (old, new) in difference.fields.items()}
    return ModelChange(upstream_name=difference.upstream_name, change=difference.change, fields=fields)
