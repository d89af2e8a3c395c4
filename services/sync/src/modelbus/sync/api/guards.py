"""Thresholds of the guard for one supplier, over HTTP."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading, Transaction
from modelbus.sync.actions import guards as acting
from modelbus.sync.api.dependencies import Known, UsualThresholds
from modelbus.sync.domain.errors import SupplierNotFoundError
from modelbus.sync.domain.guards import Guard
from modelbus.sync.domain.suspicions import Thresholds
from modelbus.sync.store import guards


async def _known_supplier(supplier_id: UUID, known: Known) -> UUID:
    if known.supplier(supplier_id) is None:
        raise SupplierNotFoundError(supplier_id)
    return supplier_id


routes = APIRouter(prefix="/api/v1/guards", tags=["guards"])

type OfSupplier = Annotated[UUID, Depends(_known_supplier)]


class OwnThresholds(BaseModel):
    """What holds for one supplier alone; null is as for all."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    most_lost_share: float | None = Field(default=None, ge=0, le=1)
    """Of the models that were listed before."""
    most_growth: float | None = Field(default=None, gt=1, le=1_000_000)
    """So many times as many models as before."""
    most_doubles: int | None = Field(default=None, ge=0, le=1_000_000)
    """Entries with an id that was listed before in the same listing."""
    minds_declared: bool | None = None
    """Whether fewer entries than the supplier says there are keep a listing back."""


class InForce(BaseModel):
    """What the supplier's listings are judged by."""

    model_config = ConfigDict(from_attributes=True)

    most_lost_share: float
    most_growth: float
    most_doubles: int
    minds_declared: bool


class GuardView(BaseModel):
    """A supplier's thresholds."""

    supplier_id: UUID
    own: OwnThresholds
    in_force: InForce
    set_by: str | None
    """Null where it has none of its own."""
    set_at: datetime | None


class GuardList(BaseModel):
    """Suppliers with thresholds of their own."""

    items: list[GuardView]


@routes.get("")
async def list_guards(session: Reading, usual: UsualThresholds) -> GuardList:
    """List the suppliers that have thresholds of their own."""
    return GuardList(items=[_view(each.supplier_id, each, usual) for each in await guards.list_guards(session)])


@routes.get("/{supplier_id}")
async def show_guard(supplier_id: OfSupplier, session: Reading, usual: UsualThresholds) -> GuardView:
    """Show by what the supplier's listings are judged."""
    return _view(supplier_id, await guards.find_guard(session, supplier_id), usual)


@routes.put("/{supplier_id}")
async def set_guard(
    supplier_id: OfSupplier, wanted: OwnThresholds, session: Transaction, usual: UsualThresholds, request: Request
) -> GuardView:
    """Judge the supplier's next listings by thresholds of its own; what is not named is as for all."""
    guard = await acting.set_guard(session, supplier_id, wanted.model_dump(), request.state.caller.name)
    return _view(supplier_id, guard, usual)


@routes.delete("/{supplier_id}", status_code=204)
async def delete_guard(supplier_id: UUID, session: Transaction) -> None:
    """Judge the supplier's next listings as those of all."""
    await guards.delete_guard(session, supplier_id)


def _view(supplier_id: UUID, guard: Guard | None, usual: Thresholds) -> GuardView:
    return GuardView(
        supplier_id=supplier_id,
        own=OwnThresholds.model_validate(guard) if guard else OwnThresholds(),
        in_force=InForce.model_validate(guard.over(usual) if guard else usual),
        set_by=guard.set_by if guard else None,
        set_at=guard.set_at if guard else None,
    )
