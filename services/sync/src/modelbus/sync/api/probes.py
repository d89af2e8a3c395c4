"""How suppliers are seen over HTTP: list, look now, and which of them may be asked for a token."""

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading, Transaction
from modelbus.sync.actions import token_probes as acting
from modelbus.sync.actions.token_probes import Wanted
from modelbus.sync.api.dependencies import Known, Looking
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.domain.errors import CatalogNotLoadedError, DanglingReferenceError
from modelbus.sync.domain.probes import Health, Watch
from modelbus.sync.domain.token_probes import TokenProbe
from modelbus.sync.store import probes, token_probes

routes = APIRouter(prefix="/api/v1/probes", tags=["probes"])

SECONDS_A_DAY = 86_400


class LookView(BaseModel):
    """One look at a supplier."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    way: str
    """`traffic` (a router served somebody), `listing` or `connect` (free), or `token`."""
    is_ok: bool
    """Whether it answered; a refusal is an answer, a 5xx is none."""
    latency_ms: int | None
    reason: str | None


class TokenProbeView(BaseModel):
    """How a supplier is asked for a token, and what that has taken."""

    model_config = ConfigDict(from_attributes=True)

    upstream_name: str
    interval_s: int
    daily_calls: int
    daily_cost: Decimal | None
    is_reasoning: bool | None
    due_at: datetime
    day: date
    """The day, in UTC, that the next two are of."""
    calls: int
    cost: Decimal
    """USD, at the most that each call could have cost."""


class WatchView(BaseModel):
    """How a supplier is seen."""

    model_config = ConfigDict(from_attributes=True)

    supplier_id: UUID
    supplier_name: str | None = None
    health: str
    """`healthy`, `degraded`, `down`, or `unknown` before the first look."""
    since: datetime
    seen_at: datetime | None
    due_at: datetime
    """When it is looked at next, unless callers are served by it meanwhile."""
    reason: str | None
    """What was last in the way; null while it is healthy."""
    traffic_ok_at: datetime | None
    """When a router last got an answer for a caller."""
    traffic_failed_at: datetime | None
    """When one last got none, or a 5xx."""
    looks: list[LookView]
    """Those that count for the verdict, the newest last."""
    token_probe: TokenProbeView | None = None


class WatchList(BaseModel):
    """Every supplier that is looked at."""

    items: list[WatchView]


class ProbeRequest(BaseModel):
    """Whom to look at."""

    model_config = ConfigDict(extra="forbid")

    supplier_id: UUID
    with_tokens: bool = False
    """Ask for a token, on the budget of the supplier's token probe."""


class TokenProbeBody(BaseModel):
    """What an administrator wants of a supplier's token probes."""

    model_config = ConfigDict(extra="forbid")

    upstream_name: str = Field(min_length=1, max_length=500)
    """The model to ask, as the supplier calls it; best a cheap one."""
    interval_s: int = Field(default=3600, ge=10, le=SECONDS_A_DAY)
    daily_calls: int = Field(default=24, ge=1, le=SECONDS_A_DAY)
    daily_cost: Decimal | None = Field(default=None, gt=0, max_digits=12, decimal_places=6)
    """USD a day at most; needs a price in the listing that was applied last."""
    is_reasoning: bool | None = None
    """Whether the model thinks before it speaks, which its request must allow for; null tells it by the name."""


@routes.get("")
async def list_probes(
    session: Reading, known: Known, health: Annotated[Health | None, Query(description="Only these.")] = None
) -> WatchList:
    """List how suppliers are seen, with the looks that count."""
    watches = await probes.list_watches(session, health=health)
    asked = await token_probes.list_token_probes(session, [watch.supplier_id for watch in watches])
    return WatchList(items=[_view(watch, asked.get(watch.supplier_id), known) for watch in watches])


@routes.post("")
async def probe_now(wanted: ProbeRequest, prober: Looking, session: Reading, known: Known) -> WatchView:
    """Look at a supplier now, and answer how it is seen after that; one look may well not change the verdict."""
    _expect_supplier(known, wanted.supplier_id)
    watch = await prober.look_at(wanted.supplier_id, with_tokens=wanted.with_tokens)
    asked = await token_probes.list_token_probes(session, [watch.supplier_id])
    return _view(watch, asked.get(watch.supplier_id), known)


@routes.put("/{supplier_id}/tokens")
async def set_token_probe(
    supplier_id: UUID, wanted: TokenProbeBody, session: Transaction, known: Known
) -> TokenProbeView:
    """Have the supplier asked for a token from time to time; it costs what it costs, up to the budget."""
    _expect_supplier(known, supplier_id)
    probe = await acting.set_token_probe(session, supplier_id, Wanted(**wanted.model_dump()))
    return TokenProbeView.model_validate(probe)


@routes.delete("/{supplier_id}/tokens", status_code=204)
async def end_token_probe(supplier_id: UUID, session: Transaction) -> None:
    """Ask the supplier for no more tokens."""
    await acting.end_token_probe(session, supplier_id)


def _expect_supplier(known: Directory, supplier_id: UUID) -> None:
    if not known.is_loaded:
        raise CatalogNotLoadedError
    if known.supplier(supplier_id) is None:
        raise DanglingReferenceError("supplier_id", "supplier", supplier_id)


def _view(watch: Watch, probe: TokenProbe | None, known: Directory) -> WatchView:
    view = WatchView.model_validate(watch)
    asked = None if probe is None else TokenProbeView.model_validate(probe)
    return view.model_copy(update={"supplier_name": known.name_of(watch.supplier_id), "token_probe": asked})
