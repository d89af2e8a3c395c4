"""Runs over HTTP: list, show, start; and their listings, which the catalog reads."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading, Transaction
from modelbus.contracts.sync import LeftOut
from modelbus.sync.actions import runs as acting
from modelbus.sync.api.dependencies import Known, Point, Wake
from modelbus.sync.domain.errors import CatalogNotLoadedError, DanglingReferenceError
from modelbus.sync.domain.runs import Cause, Status
from modelbus.sync.store import listings, runs

routes = APIRouter(prefix="/api/v1/runs", tags=["runs"])


class RunView(BaseModel):
    """One attempt to learn what a supplier offers; what it has not come to yet is null."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    supplier_id: UUID
    supplier_name: str | None
    cause: str
    """`administrator`, `credential` or `schedule`."""
    status: str
    """`requested`, `fetching`, `fetched`, then `applied` or `refused` by the catalog; `unchanged`, `failed` or
    `cancelled`; or `quarantined`, and `discarded` unless an administrator applies it."""
    requested_by: str | None
    """Who asked, where somebody did."""
    reason: str | None
    """Why it was refused, failed or cancelled."""
    requested_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    """From when a worker took it up until it ended."""
    attempts: int
    """Requests that the supplier got."""
    pages_read: int | None
    bytes_read: int | None
    """What has come of the listing; about once a second also while it comes."""
    digest: str | None
    listed_count: int | None
    declared_count: int | None
    """How many models there are by the supplier's own words, where it says so."""
    left_out_count: int | None
    ignored_count: int | None
    """Entries that an ignore rule leaves out."""
    held_prices_count: int | None
    """Models whose prices wait for an administrator."""
    added: int | None
    changed: int | None
    removed: int | None
    held: int | None
    unchanged: int | None
    suspicions: list[str] | None
    """Why the guard kept the listing back."""
    base_run_id: UUID | None
    """The run whose listing this one was compared with, or is the same as."""
    decided_by: str | None
    """Who applied or discarded it then, or cancelled the run."""


class RunDetail(RunView):
    """A run with the entries of the listing that did not become models."""

    left_out: list[LeftOut] | None
    """At most 1000 of them; null when the listing is not kept."""


class RunPage(BaseModel):
    """A page of runs, newest first."""

    items: list[RunView]
    next_cursor: UUID | None


class RunQuery(BaseModel):
    """Which runs to list."""

    model_config = ConfigDict(extra="forbid")

    supplier_id: UUID | None = None
    status: Status | None = None
    cause: Cause | None = None
    since: AwareDatetime | None = None
    """Requested then or later."""
    until: AwareDatetime | None = None
    """Requested before."""
    limit: int = Field(default=50, ge=1, le=200)
    cursor: UUID | None = None


class RunRequest(BaseModel):
    """Whom to ask; nobody named means every active supplier."""

    model_config = ConfigDict(extra="forbid")

    supplier_id: UUID | None = None


class Requested(BaseModel):
    """The runs that will be made."""

    run_ids: list[UUID]


@routes.get("")
async def list_runs(session: Reading, asked: Annotated[RunQuery, Query()]) -> RunPage:
    """List runs, newest first."""
    wanted = runs.Wanted(asked.supplier_id, asked.status, asked.cause, asked.since, asked.until)
    found = await runs.list_runs(session, wanted, limit=asked.limit + 1, before=asked.cursor)
    more = len(found) > asked.limit
    items = [RunView.model_validate(run) for run in found[: asked.limit]]
    return RunPage(items=items, next_cursor=items[-1].id if more else None)


@routes.post("", status_code=202)
async def request_listings(
    wanted: RunRequest, session: Transaction, known: Known, point: Point, wake: Wake, request: Request
) -> Requested:
    """Ask a supplier, or every active one, for its models; each run tells how it went."""
    if not known.is_loaded:
        raise CatalogNotLoadedError
    if wanted.supplier_id is None:
        suppliers = [supplier for supplier in known.suppliers() if supplier.is_active]
    elif (supplier := known.supplier(wanted.supplier_id)) is not None:
        suppliers = [supplier]
    else:
        raise DanglingReferenceError("supplier_id", "supplier", wanted.supplier_id)
    by = request.state.caller.name
    return Requested(run_ids=await acting.request_listings(session, suppliers, by, wake, point()))


@routes.get("/{run_id}")
async def show_run(run_id: UUID, session: Reading) -> RunDetail:
    """Show a run and which entries were left out."""
    view = RunView.model_validate(await runs.find_run(session, run_id))
    left_out = await listings.find_left_out(session, run_id)
    return RunDetail.model_validate({**view.model_dump(), "left_out": left_out})


@routes.post("/{run_id}/cancel")
async def cancel_run(run_id: UUID, session: Transaction, request: Request) -> RunView:
    """Give up a run that is waiting or fetching; the supplier is asked no further within a second or two."""
    return RunView.model_validate(await acting.cancel_run(session, run_id, request.state.caller.name))


@routes.get("/{run_id}/listing", response_class=Response, responses={200: {"content": {"application/json": {}}}})
async def read_listing(run_id: UUID, session: Reading) -> Response:
    """Read the normalised listing of a run; the last five of each supplier are kept."""
    return Response(await listings.read_listing(session, run_id), media_type="application/json")
