"""Queries about models with their charges, what they cost, and what is left."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.margins import DEFAULT_BLEND, Basis, Blend, Margin, margin_of
from modelbus.catalog.domain.price_states import PriceState, state_of
from modelbus.catalog.domain.prices import Amounts, Period
from modelbus.catalog.store import model_list, rows
from modelbus.catalog.store.margins import cost_over, is_known, is_negative
from modelbus.catalog.store.model_list import ModelFilter
from modelbus.catalog.store.paging import BY_CREATION, Paging, page
from modelbus.catalog.store.prices import charges_now
from modelbus.catalog.store.tables import models

SHOWN = ("id", "name", "display_name", "model_type", "is_available", "since")


class MarginSign(StrEnum):
    """Which side of zero a margin is on."""

    NEGATIVE = "negative"
    UNKNOWN = "unknown"
    POSITIVE = "positive"


@dataclass(frozen=True, slots=True)
class PriceFilter:
    """What a selection of models is narrowed to by their prices; None leaves it open."""

    models: ModelFilter = field(default_factory=ModelFilter)
    state: PriceState | None = None
    margin: MarginSign | None = None
    over: Basis = Basis.CHEAPEST
    """Which of a model's sources its margin is over."""
    blend: Blend = DEFAULT_BLEND


@dataclass(frozen=True, slots=True)
class PricedModel:
    """A model with its charge, and the source that its margin is over."""

    id: UUID
    name: str
    display_name: str
    model_type: str
    is_available: bool
    since: datetime
    charge: Period | None
    source_id: UUID | None
    supplier_id: UUID | None
    cost: Amounts | None
    blend: Blend

    @property
    def amounts(self) -> Amounts | None:
        """What it is charged."""
        return None if self.charge is None else self.charge.amounts

    @property
    def state(self) -> PriceState | None:
        """How it stands to its price; None where it needs none, as it is not available."""
        return state_of(is_available=self.is_available, is_priced=self.charge is not None)

    @property
    def deprecated_at(self) -> datetime | None:
        """Since when there is a price, but nothing that it would be paid for."""
        return self.since if self.state == PriceState.ORPHANED else None

    @property
    def margin(self) -> Margin:
        """What is left of the charge."""
        return margin_of(self.amounts, self.cost, self.blend)


async def list_prices(session: AsyncSession, wanted: PriceFilter, *, paging: Paging) -> list[PricedModel]:
    """List models that have a price, or should, one more than the page holds; one statement."""
    # The page first: what its models cost is looked up for them alone.
    paged = page(_matching(wanted, models.c.id), models, paging).subquery("paged")
    over = cost_over(wanted.over, wanted.blend)
    query = (
        sa.select(
            *(models.c[name] for name in SHOWN),
            *(column.label(f"charge_{column.name}") for column in charges_now.c),
            *(over.c[name].label(f"over_{name}") for name in ("source_id", "supplier_id", "cost")),
        )
        .select_from(models.join(paged, paged.c.id == models.c.id))
        .outerjoin(charges_now, charges_now.c.model_id == models.c.id)
        .outerjoin(over, sa.true())
    )
    keys = [models.c.id] if paging.field == BY_CREATION else [models.c[paging.field], models.c.id]
    query = query.order_by(*(key.desc() if paging.is_descending else key for key in keys))
    return [_priced(row, wanted.blend) for row in await session.execute(query)]


async def count_prices(session: AsyncSession, wanted: PriceFilter) -> int:
    """Count the models that the filter lets through."""
    return await session.scalar(_matching(wanted, sa.func.count())) or 0


async def ids_matching(session: AsyncSession, wanted: PriceFilter, *, limit: int) -> list[UUID]:
    """Answer the living models that the filter lets through, in order of creation."""
    query = _matching(wanted, models.c.id).where(models.c.deleted_at.is_(None))
    return list(await session.scalars(query.order_by(models.c.id).limit(limit)))


async def costs_over(session: AsyncSession, model_ids: Collection[UUID], basis: Basis) -> dict[UUID, Amounts]:
    """Read what models cost; one without an available source that counts is left out."""
    over = cost_over(basis)
    query = sa.select(models.c.id, over.c.cost).join(over, sa.true()).where(rows.among(models.c.id, model_ids))
    return {row.id: Amounts.read(row.cost) for row in await session.execute(query)}


def _matching(wanted: PriceFilter, *columns: Any) -> sa.Select[Any]:
    is_priced = charges_now.c.model_id.is_not(None)
    joined = models.outerjoin(charges_now, charges_now.c.model_id == models.c.id)
    criteria = [models.c.is_available | is_priced, *model_list.criteria(wanted.models)]
    if wanted.state is not None:
        criteria += model_list.price_criteria(wanted.state, is_priced)
    if wanted.margin is not None:
        over = cost_over(wanted.over, wanted.blend)
        joined = joined.outerjoin(over, sa.true())
        criteria.append(_signs(over)[wanted.margin])
    return sa.select(*columns).select_from(joined).where(*criteria)


def _signs(over: sa.FromClause) -> dict[MarginSign, sa.ColumnElement[bool]]:
    below, known = is_negative(over), is_known(over)
    return {MarginSign.NEGATIVE: below, MarginSign.POSITIVE: known & ~below, MarginSign.UNKNOWN: ~known}


def _priced(row: sa.Row[Any], blend: Blend) -> PricedModel:
    told = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    charge = {name.removeprefix("charge_"): value for name, value in told.items() if name.startswith("charge_")}
    period = None
    if charge["price_id"] is not None:
        amounts = Amounts.read(charge)
        times = charge["begins"], charge["ends"]
        period = Period(charge["price_id"], *times, charge["is_open"], amounts, charge["origin"])
    return PricedModel(
        **{name: told[name] for name in SHOWN},
        charge=period,
        source_id=row.over_source_id,
        supplier_id=row.over_supplier_id,
        cost=None if row.over_cost is None else Amounts.read(row.over_cost),
        blend=blend,
    )
