"""Prices that listings told and that wait for an administrator."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading, Transaction
from modelbus.contracts.records import CostPrices
from modelbus.sync.actions import prices
from modelbus.sync.domain.prices import Unit

routes = APIRouter(prefix="/api/v1/runs/{run_id}/prices", tags=["prices"])


class UnitWord(StrEnum):
    """What the prices that are taken are for."""

    PER_MILLION = "per_million"
    PER_THOUSAND = "per_thousand"
    PER_TOKEN = "per_token"  # noqa: S105 - tokens of a text


class HeldView(BaseModel):
    """A model whose listed prices are not believed yet."""

    upstream_name: str
    known: CostPrices
    """What it goes on costing."""
    listed: CostPrices
    """What the listing says, in USD per million tokens unless the reason says otherwise."""
    reason: str


class HeldPage(BaseModel):
    """A page of them, in order of name."""

    items: list[HeldView]
    next_cursor: str | None


class Acceptance(BaseModel):
    """Which prices to take, and what they are for."""

    model_config = ConfigDict(extra="forbid")

    upstream_names: Annotated[list[str], Field(min_length=1, max_length=1000)] | None = None
    """Of these models; null means of all."""
    unit: UnitWord = UnitWord.PER_MILLION
    """What prices are for of which the listing does not tell it; their points move accordingly."""


class Accepted(BaseModel):
    """The run that hands the listing with these prices to the catalog."""

    run_id: UUID


@routes.get("/held")
async def list_held_prices(
    run_id: UUID,
    session: Reading,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str, Query(max_length=200)] = "",
) -> HeldPage:
    """List the prices of a run's listing that are held for review, with what is known instead."""
    held = [model for model in await prices.list_held(session, run_id) if model.upstream_name > cursor]
    items = [
        HeldView(
            upstream_name=model.upstream_name, known=model.cost, listed=model.held.listed, reason=model.held.reason
        )
        for model in held[:limit]
        if model.held is not None
    ]
    return HeldPage(items=items, next_cursor=items[-1].upstream_name if len(held) > limit else None)


@routes.post("/accept", status_code=202)
async def accept_prices(run_id: UUID, wanted: Acceptance, session: Transaction) -> Accepted:
    """Take held prices of the listing that was applied last; the catalog gets it once more, with them."""
    names = None if wanted.upstream_names is None else frozenset(wanted.upstream_names)
    return Accepted(run_id=await prices.accept_prices(session, run_id, names, Unit[wanted.unit.name]))
