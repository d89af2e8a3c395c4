"""Queries about cost strategies and the models among which they choose."""

from dataclasses import dataclass, field, replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, notices_of_models
from modelbus.catalog.domain.strategies import Strategy
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.references import HolderFilter
from modelbus.catalog.store.tables import models, strategies, strategy_models

_places = (
    sa.select(strategy_models.c.model_id)
    .where(strategy_models.c.strategy_id == strategies.c.id)
    .order_by(strategy_models.c.position)
    .scalar_subquery()
)
_alive = sa.select(
    *(column for column in strategies.c if column.name != "is_restricted"),
    sa.case((strategies.c.is_restricted, sa.func.array(_places, type_=ARRAY(sa.Uuid)))).label("model_ids"),
).where(strategies.c.deleted_at.is_(None))
_stale = strategy_models.join(models, models.c.id == strategy_models.c.model_id)
_has_stale = sa.exists(
    sa.select(1)
    .select_from(_stale)
    .where(strategy_models.c.strategy_id == strategies.c.id, ~models.c.is_available)
    .correlate(strategies)
)


@dataclass(frozen=True, slots=True)
class StrategyRow(Strategy):
    """A cost strategy, and what of it is stale right now."""

    warnings: list[Notice] = field(default_factory=list)


def _refers_to(model_id: UUID) -> sa.ColumnElement[bool]:
    return sa.exists().where(strategy_models.c.strategy_id == strategies.c.id, strategy_models.c.model_id == model_id)


async def show_strategy(session: AsyncSession, strategy_id: UUID) -> StrategyRow:
    """Read a cost strategy as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, StrategyRow, _alive.where(strategies.c.id == strategy_id))
    if found is None:
        raise NotFoundError("cost strategy", strategy_id)
    return (await _judged(session, [found]))[0]


async def list_strategies(session: AsyncSession, wanted: HolderFilter, *, paging: Paging) -> list[StrategyRow]:
    """List cost strategies as they stand right now, one more than the page holds."""
    query = references.narrowed(_alive, strategies, wanted, refers_to=_refers_to, has_stale=_has_stale)
    return await _judged(session, await rows.fetch_all(session, StrategyRow, page(query, strategies, paging)))


async def get_strategy(session: AsyncSession, strategy_id: UUID) -> Strategy:
    """Read a cost strategy.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, Strategy, _alive.where(strategies.c.id == strategy_id))
    if found is None:
        raise NotFoundError("cost strategy", strategy_id)
    return found


async def lock_strategy(session: AsyncSession, strategy_id: UUID) -> Strategy:
    """Read a cost strategy and keep others from changing it until the transaction ends."""
    await references.lock_holder(session, strategies, strategy_id)
    return await get_strategy(session, strategy_id)


async def hold_strategy(session: AsyncSession, strategy_id: UUID) -> bool:
    """Tell whether the cost strategy lives, and keep it from being changed until the transaction ends."""
    query = sa.select(strategies.c.id).where(strategies.c.id == strategy_id, strategies.c.deleted_at.is_(None))
    return await session.scalar(query.with_for_update(read=True, key_share=True)) is not None


async def find_strategy(session: AsyncSession, name: str) -> Strategy | None:
    """Look a cost strategy up by name."""
    return await rows.fetch_one(session, Strategy, _alive.where(strategies.c.name == name))


async def every_strategy(session: AsyncSession) -> list[Strategy]:
    """Read every cost strategy for the snapshot."""
    return await rows.fetch_all(session, Strategy, _alive.order_by(strategies.c.id))


async def insert_strategy(session: AsyncSession, strategy: Strategy) -> None:
    """Add the cost strategy with its models."""
    await references.insert_holder(session, strategies, strategy)
    await save_models(session, strategy)


async def save_strategy(session: AsyncSession, strategy: Strategy) -> None:
    """Write the cost strategy's fields, its models left as they are."""
    await references.save_holder(session, strategies, strategy)


async def save_models(session: AsyncSession, strategy: Strategy) -> None:
    """Write the cost strategy's models in place of those that it had."""
    places = [
        {"position": position, "model_id": model_id} for position, model_id in enumerate(strategy.model_ids or [])
    ]
    await references.replace_places(session, strategy_models.c.strategy_id, strategy.id, places)


async def _judged(session: AsyncSession, found: list[StrategyRow]) -> list[StrategyRow]:
    stale = await references.stale_among(session, {each for strategy in found for each in strategy.model_ids or []})
    return [replace(strategy, warnings=notices_of_models(strategy.model_ids or [], stale)) for strategy in found]
