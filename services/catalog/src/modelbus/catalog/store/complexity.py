"""Queries about complexity routings and the models of their levels."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.complexity import Classifier, ComplexityRouting, Level, in_order
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, notices_of
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.references import HolderFilter
from modelbus.catalog.store.tables import complexity_levels, complexity_routings, models

CLASSIFIER = ("thresholds", "is_sticky", "judge_model_id", "judge_timeout_ms")

_alive = sa.select(complexity_routings).where(complexity_routings.c.deleted_at.is_(None))
_judges = models.alias("judges")


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
    thresholds: list[float] | None
    is_sticky: bool | None
    judge_model_id: UUID | None
    judge_timeout_ms: int | None
    judge_name: str | None
    judge_reason: str | None
    """Why the judge is not available; None while it is, and where there is none."""
    levels: list[LevelRow] = field(default_factory=list)

    @property
    def classifier(self) -> Classifier | None:
        """How levels are found; None takes the router's own settings."""
        return _classifier(*(getattr(self, name) for name in CLASSIFIER))

    @property
    def warnings(self) -> list[Notice]:
        """What of it is stale; places are counted as the levels are shown."""
        found: list[Notice] = []
        for place, level in enumerate(self.levels):
            stale = {number: model for number, model in enumerate(level.models) if not model.is_available}
            path = f"levels.{place}.model_ids"
            found += notices_of((f"{path}.{number}", model.model_name, model.reason) for number, model in stale.items())
            if len(stale) == len(level.models):
                found.append(
                    Notice(path, "nothing_available", f"no model of level {level.level} could serve right now")
                )
        if self.judge_name is not None and self.judge_reason is not None:
            found += notices_of([("classifier.judge_model_id", self.judge_name, self.judge_reason)])
        return found


_shown = sa.select(
    complexity_routings.c.id,
    complexity_routings.c.name,
    complexity_routings.c.description,
    complexity_routings.c.is_active,
    complexity_routings.c.created_at,
    complexity_routings.c.updated_at,
    complexity_routings.c.version,
    *(complexity_routings.c[name] for name in CLASSIFIER),
    _judges.c.name.label("judge_name"),
    _judges.c.reason.label("judge_reason"),
).outerjoin(_judges, _judges.c.id == complexity_routings.c.judge_model_id)
_shown = _shown.where(complexity_routings.c.deleted_at.is_(None))

_of_this = complexity_levels.c.routing_id == complexity_routings.c.id
_stale = complexity_levels.join(models, models.c.id == complexity_levels.c.model_id)
_has_stale = sa.or_(
    sa.exists(sa.select(1).select_from(_stale).where(_of_this, ~models.c.is_available).correlate(complexity_routings)),
    _judges.c.reason.is_not(None),
)


def _refers_to(model_id: UUID) -> sa.ColumnElement[bool]:
    is_in_a_level = sa.exists().where(_of_this, complexity_levels.c.model_id == model_id)
    return is_in_a_level | (complexity_routings.c.judge_model_id == model_id)


async def show_complexity_routing(session: AsyncSession, routing_id: UUID) -> RoutingRow:
    """Read a routing as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, RoutingRow, _shown.where(complexity_routings.c.id == routing_id))
    if found is None:
        raise NotFoundError("complexity routing", routing_id)
    return replace(found, levels=(await _standing(session, [routing_id]))[routing_id])


async def list_complexity_routings(session: AsyncSession, wanted: HolderFilter, *, paging: Paging) -> list[RoutingRow]:
    """List routings as they stand right now, one more than the page holds."""
    query = references.narrowed(_shown, complexity_routings, wanted, refers_to=_refers_to, has_stale=_has_stale)
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


async def find_complexity_routing(session: AsyncSession, name: str) -> ComplexityRouting | None:
    """Look a routing up by name."""
    query = _alive.where(complexity_routings.c.name == name)
    is_its = complexity_levels.c.routing_id.in_(query.with_only_columns(complexity_routings.c.id))
    found = await _with_levels(session, query, is_its)
    return found[0] if found else None


async def every_complexity_routing(session: AsyncSession) -> list[ComplexityRouting]:
    """Read every routing for the snapshot."""
    return await _with_levels(session, _alive.order_by(complexity_routings.c.id), sa.true())


async def insert_complexity_routing(session: AsyncSession, routing: ComplexityRouting) -> None:
    """Add the routing with its levels."""
    await references.insert_holder(session, complexity_routings, routing, **_classifier_columns(routing))
    await save_levels(session, routing)


async def save_complexity_routing(session: AsyncSession, routing: ComplexityRouting) -> None:
    """Write the routing's fields, its levels left as they are."""
    await references.save_holder(session, complexity_routings, routing, **_classifier_columns(routing))


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
    found = [_routing(row._mapping) for row in await session.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name
    places = sa.select(complexity_levels).where(which_levels).order_by(complexity_levels.c.position)
    for row in await session.execute(places):
        levels[row.routing_id][Level(row.level)].append(row.model_id)
    return [replace(routing, levels=in_order(levels[routing.id])) for routing in found]


def _routing(row: Mapping[str, Any]) -> ComplexityRouting:
    told = {name: value for name, value in row.items() if name not in CLASSIFIER}
    return ComplexityRouting(**told, classifier=_classifier(*(row[name] for name in CLASSIFIER)))


def _classifier(thresholds: Any, *others: Any) -> Classifier | None:
    return None if thresholds is None else Classifier(tuple(thresholds), *others)


def _classifier_columns(routing: ComplexityRouting) -> dict[str, Any]:
    return {name: getattr(routing.classifier, name, None) for name in CLASSIFIER}


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
