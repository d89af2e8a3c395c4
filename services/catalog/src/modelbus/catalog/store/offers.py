"""Queries about offers: sources with what matters of their models and suppliers to who chooses among them."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.offers import Offer
from modelbus.catalog.domain.strategies import Strategy
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import capabilities, models, sources, suppliers

_offers = (
    sa.select(
        sources.c.id.label("source_id"),
        *(sources.c[name] for name in ("upstream_name", "priority", "cost", "health", "supplier_id", "model_id")),
        suppliers.c.name.label("supplier_name"),
        models.c.name.label("model_name"),
        *(models.c[name] for name in ("model_type", "lifecycle", "is_featured", "context_window")),
        models.c.capabilities,
        (sources.c.is_available & models.c.is_available).label("is_available"),
        sa.func.coalesce(sources.c.reason, models.c.reason).label("reason"),
    )
    .join(models, models.c.id == sources.c.model_id)
    .join(suppliers, suppliers.c.id == sources.c.supplier_id)
    .where(sources.c.deleted_at.is_(None), models.c.deleted_at.is_(None))
)


async def available_offers(session: AsyncSession) -> list[Offer]:
    """Read every offer that can serve right now."""
    return await _fetch(session, _offers.where(sources.c.is_available, models.c.is_available))


async def offers_of(
    session: AsyncSession, model_ids: Collection[UUID] | None, model_type: str | None = None
) -> list[Offer]:
    """Read every offer of the models, of all models where none are named; available or not."""
    query = _offers
    if model_ids is not None:
        query = query.where(rows.among(sources.c.model_id, model_ids))
    if model_type is not None:
        query = query.where(models.c.model_type == model_type)
    return await _fetch(session, query)


async def is_any_within(session: AsyncSession, strategy: Strategy) -> bool:
    """Tell whether anything that is available right now meets the strategy's caps on prices."""
    query = sa.select(1).where(sources.c.is_available, models.c.is_available, models.c.id == sources.c.model_id)
    if strategy.model_ids is not None:
        query = query.where(rows.among(models.c.id, strategy.model_ids))
    is_dynamic = sa.func.coalesce(sources.c.cost["is_dynamic"].as_boolean(), sa.false())
    for unit, cap in (("input", strategy.max_input_price), ("output", strategy.max_output_price)):
        if cap is not None:
            query = query.where(~is_dynamic, sa.cast(sources.c.cost[unit].as_string(), sa.Numeric) <= cap)
    return await session.scalar(sa.select(sa.exists(query))) or False


async def capability_names(session: AsyncSession) -> dict[str, str]:
    """Answer the name of each living capability by its id as models hold it: text."""
    query = sa.select(capabilities.c.id, capabilities.c.name).where(capabilities.c.deleted_at.is_(None))
    return {str(row.id): row.name for row in await session.execute(query)}


async def _fetch(session: AsyncSession, query: sa.Select[Any]) -> list[Offer]:
    names = await capability_names(session)
    found = (row._mapping for row in await session.execute(query))  # noqa: SLF001 - SQLAlchemy's public name
    return [
        Offer(**{**row, "capabilities": sorted(names[key] for key in row["capabilities"] if key in names)})
        for row in found
    ]
