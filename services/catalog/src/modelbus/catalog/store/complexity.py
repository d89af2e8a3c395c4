"""Queries about complexity routings and the models of their levels."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.complexity import ComplexityRouting, Level, in_order
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import complexity_levels, complexity_routings, models

_alive = sa.select(complexity_routings).where(complexity_routings.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class LevelModelRow:
    """A model in its place of a level, and whether it could serve right now."""

    routing_id: UUID
    level: str
    model_id: UUID
    model_name: str
    is_available: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class LevelRow:
    """A level, and how its models stand right now."""

    level: str
    models: list[LevelModelRow]


@dataclass(frozen=True, slots=True)
class RoutingRow:
    """A complexity routing, and how the models of its levels stand right now."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    version: int
    levels: list[LevelRow] = field(default_factory=list)


_shown = sa.select(
    complexity_routings.c.id,
    complexity_routings.c.name,
    complexity_routings.c.description,
    complexity_routings.c.is_active,
    complexity_routings.c.created_at,
    complexity_routings.c.updated_at,
    complexity_routings.c.version,
).where(complexity_routings.c.deleted_at.is_(None))


async def show_complexity_routing(session: AsyncSession, routing_id: UUID) -> RoutingRow:
    """Read a routing as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, RoutingRow, _shown.where(complexity_routings.c.id == routing_id))
    if found is None:
        raise NotFoundError("complexity routing", routing_id)
    return replace(found, levels=(await _standing(session, [routing_id]))[routing_id])


async def list_complexity_routings(session: AsyncSession, *, name: str | None, paging: Paging) -> list[RoutingRow]:
    """List routings as they stand right now, one more than the page holds."""
    query = _shown if name is None else _shown.where(complexity_routings.c.name == name)
    found = await rows.fetch_all(session, RoutingRow, page(query, complexity_routings, paging))
    levels = await _standing(session, [routing.id for routing in found])
    return [replace(routing, levels=levels[routing.id]) for routing in found]


async def lock_complexity_routing(session: AsyncSession, routing_id: UUID) -> ComplexityRouting:
    """Read a routing and keep others from changing it until the transaction ends.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    await references.lock_holder(session, complexity_routings, routing_id)
    query = _alive.where(complexity_routings.c.id == routing_id)
    found = await _with_levels(session, query, complexity_levels.c.routing_id == routing_id)
    if not found:
        raise NotFoundError("complexity routing", routing_id)
    return found[0]


async def is_name_taken(session: AsyncSession, name: str) -> bool:
    """Tell whether a routing has that name."""
    return await session.scalar(sa.select(sa.exists(_alive.where(complexity_routings.c.name == name)))) or False


async def every_complexity_routing(session: AsyncSession) -> list[ComplexityRouting]:
    """Read every routing for the snapshot."""
    return await _with_levels(session, _alive.order_by(complexity_routings.c.id), sa.true())


async def insert_complexity_routing(session: AsyncSession, routing: ComplexityRouting) -> None:
    """Add the routing with its levels."""
    await references.insert_holder(session, complexity_routings, routing)
    await save_levels(session, routing)


async def save_complexity_routing(session: AsyncSession, routing: ComplexityRouting) -> None:
    """Write the routing's fields, its levels left as they are."""
    await references.save_holder(session, complexity_routings, routing)


async def save_levels(session: AsyncSession, routing: ComplexityRouting) -> None:
    """Write the routing's levels in place of those that it had."""
    places = [
        {"level": served.level, "position": position, "model_id": model_id}
        for served in routing.levels
        for position, model_id in enumerate(served.model_ids)
    ]
    await references.replace_places(session, complexity_levels.c.routing_id, routing.id, places)


async def _with_levels(
    session: AsyncSession, query: sa.Select[Any], which_levels: sa.ColumnElement[bool]
) -> list[ComplexityRouting]:
    levels: dict[UUID, dict[Level, list[UUID]]] = defaultdict(lambda: defaultdict(list))
    found = await rows.fetch_all(session, ComplexityRouting, query)
    places = sa.select(complexity_levels).where(which_levels).order_by(complexity_levels.c.position)
    for row in await session.execute(places):
        levels[row.routing_id][Level(row.level)].append(row.model_id)
    return [replace(routing, levels=in_order(levels[routing.id])) for routing in found]


async def _standing(session: AsyncSession, routing_ids: Collection[UUID]) -> dict[UUID, list[LevelRow]]:
    """Read the levels of the routings, the easiest first, with their models in order."""
    query = (
        sa.select(
            complexity_levels.c.routing_id,
            complexity_levels.c.level,
            complexity_levels.c.model_id,
            models.c.name.label("model_name"),
            models.c.is_available,
            models.c.reason,
        )
        .join(models, models.c.id == complexity_levels.c.model_id)
        .where(rows.among(complexity_levels.c.routing_id, routing_ids))
        .order_by(complexity_levels.c.position)
    )
    served: dict[UUID, dict[str, list[LevelModelRow]]] = defaultdict(lambda: defaultdict(list))
    for row in await rows.fetch_all(session, LevelModelRow, query):
        served[row.routing_id][row.level].append(row)
    return defaultdict(
        list,
        {
            routing_id: [LevelRow(level, found[level]) for level in Level if level in found]
            for routing_id, found in served.items()
        },
    )
