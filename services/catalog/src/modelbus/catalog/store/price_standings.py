"""Queries about one model's or one source's prices: in force at some time, to come, and what is left of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.margins import Blend, Margin, margin_of
from modelbus.catalog.domain.price_states import PriceState, state_of
from modelbus.catalog.domain.prices import Amounts, Period, PeriodState
from modelbus.catalog.store import prices
from modelbus.catalog.store.prices import CHARGES, COSTS, KeptPeriod
from modelbus.catalog.store.tables import models, sources, suppliers


@dataclass(frozen=True, slots=True)
class SourceMargin:
    """A source of a model, and what is left of the model's charge over it."""

    source_id: UUID
    supplier_id: UUID
    supplier_name: str
    upstream_name: str
    is_available: bool
    cost: Amounts | None
    margin: Margin


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """A model's charge at some time, and those to come after it."""

    model_id: UUID
    model_name: str
    state: PriceState | None
    """How it stands now."""
    deprecated_at: datetime | None
    as_of: datetime
    in_force: Period | None
    coming: Sequence[KeptPeriod]
    sources: Sequence[SourceMargin]
    version: int


@dataclass(frozen=True, slots=True)
class SourcePrices:
    """A source's cost at some time, and those to come after it."""

    source_id: UUID
    model_id: UUID
    supplier_id: UUID
    upstream_name: str
    as_of: datetime
    in_force: Period | None
    coming: Sequence[KeptPeriod]
    charge: Amounts | None
    """What its model is charged."""
    margin: Margin
    version: int


async def model_prices(session: AsyncSession, key: UUID | str, at: datetime, blend: Blend) -> ModelPrices:
    """Read the prices of a model; one that was deleted still goes by its id.

    Raises:
        NotFoundError: there is none.
    """
    model = await _model(session, key)
    charge = (await prices.charges_of(session, [model.id], at)).get(model.id)
    living = await prices.living_periods(session, CHARGES, model.id)
    is_priced = any(period.state == PeriodState.IN_FORCE for period in living)
    state = state_of(is_available=model.is_available, is_priced=is_priced)
    return ModelPrices(
        model_id=model.id,
        model_name=model.name,
        state=state,
        deprecated_at=model.since if state == PriceState.ORPHANED else None,
        as_of=at,
        in_force=charge,
        coming=[period for period in living if period.begins > at],
        sources=await _margins(session, model.id, at, _amounts(charge), blend),
        version=await prices.version_of(session, model.id),
    )


async def source_prices(session: AsyncSession, source_id: UUID, at: datetime, blend: Blend) -> SourcePrices:
    """Read the prices of a source, be it deleted.

    Raises:
        NotFoundError: there is none.
    """
    source = await _source(session, source_id)
    cost = (await prices.costs_of(session, [source_id], at)).get(source_id)
    charge = _amounts((await prices.charges_of(session, [source.model_id], at)).get(source.model_id))
    living = await prices.living_periods(session, COSTS, source_id)
    return SourcePrices(
        source_id=source_id,
        model_id=source.model_id,
        supplier_id=source.supplier_id,
        upstream_name=source.upstream_name,
        as_of=at,
        in_force=cost,
        coming=[period for period in living if period.begins > at],
        charge=charge,
        margin=margin_of(charge, _amounts(cost), blend),
        version=await prices.version_of(session, source_id),
    )


async def find_model_id(session: AsyncSession, key: UUID | str) -> UUID:
    """Find a model by name, or by id even if it was deleted.

    Raises:
        NotFoundError: there is none.
    """
    found: UUID = (await _model(session, key)).id
    return found


async def find_source_id(session: AsyncSession, source_id: UUID) -> UUID:
    """Find a source, be it deleted.

    Raises:
        NotFoundError: there is none.
    """
    found: UUID = (await _source(session, source_id)).id
    return found


async def _model(session: AsyncSession, key: UUID | str) -> Any:
    is_it = models.c.id == key if isinstance(key, UUID) else (models.c.name == key) & models.c.deleted_at.is_(None)
    columns = models.c.id, models.c.name, models.c.is_available, models.c.since
    model = (await session.execute(sa.select(*columns).where(is_it))).one_or_none()
    if model is None:
        raise NotFoundError("model", key)
    return model


async def _source(session: AsyncSession, source_id: UUID) -> Any:
    columns = sources.c.id, sources.c.model_id, sources.c.supplier_id, sources.c.upstream_name
    source = (await session.execute(sa.select(*columns).where(sources.c.id == source_id))).one_or_none()
    if source is None:
        raise NotFoundError("source", source_id)
    return source


async def _margins(
    session: AsyncSession, model_id: UUID, at: datetime, charge: Amounts | None, blend: Blend
) -> list[SourceMargin]:
    shown: list[Any] = [sources.c.id, sources.c.supplier_id, sources.c.upstream_name, sources.c.is_available]
    query = (
        sa.select(*shown, suppliers.c.name.label("supplier_name"))
        .join(suppliers, suppliers.c.id == sources.c.supplier_id)
        .where(sources.c.model_id == model_id, sources.c.deleted_at.is_(None))
        .order_by(sources.c.priority, sources.c.id)
    )
    offered = (await session.execute(query)).all()
    costs = await prices.costs_of(session, [row.id for row in offered], at)
    known = {row.id: _amounts(costs.get(row.id)) for row in offered}
    return [
        SourceMargin(
            row.id,
            row.supplier_id,
            row.supplier_name,
            row.upstream_name,
            row.is_available,
            known[row.id],
            margin_of(charge, known[row.id], blend),
        )
        for row in offered
    ]


def _amounts(period: Period | None) -> Amounts | None:
    return None if period is None else period.amounts
