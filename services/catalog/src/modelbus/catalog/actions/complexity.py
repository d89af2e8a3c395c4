"""What can be done with complexity routings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.complexity import ComplexityRouting, LevelModels, in_order
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import complexity
from modelbus.chassis.ids import new_id


async def create_complexity_routing(session: AsyncSession, fields: dict[str, Any]) -> ComplexityRouting:
    """Add a complexity routing; `fields["levels"]` are `LevelModels` in any order, each level at most once.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: a level names a model that does not exist.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    levels = await _checked_levels(session, fields["levels"])
    routing = ComplexityRouting(
        **{**fields, "levels": levels}, id=new_id(), created_at=now, updated_at=now, deleted_at=None
    )
    await complexity.insert_complexity_routing(session, routing)
    await keep(session, None, routing)
    return routing


async def change_complexity_routing(
    session: AsyncSession, routing_id: UUID, fields: dict[str, Any]
) -> ComplexityRouting:
    """Change the given fields; a change that changes nothing tells nothing."""
    routing = await complexity.lock_complexity_routing(session, routing_id)
    expect(session, routing)
    if fields.get("name", routing.name) != routing.name:
        await _refuse_taken_name(session, fields["name"])
    if "levels" in fields:
        fields = {**fields, "levels": await _checked_levels(session, fields["levels"])}
    if replace(routing, **fields) == routing:
        return routing
    changed = stamp(replace(routing, **fields))
    await complexity.save_complexity_routing(session, changed)
    if changed.levels != routing.levels:
        await complexity.save_levels(session, changed)
    await keep(session, routing, changed)
    return changed


async def delete_complexity_routing(session: AsyncSession, routing_id: UUID) -> None:
    """Take the complexity routing out of the catalog; its name may be used again."""
    routing = await complexity.lock_complexity_routing(session, routing_id)
    expect(session, routing)
    gone = stamp(replace(routing, deleted_at=datetime.now(UTC)))
    await complexity.save_complexity_routing(session, gone)
    await keep(session, routing, None)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await complexity.is_name_taken(session, name):
        raise AlreadyExistsError("complexity routing", "name", name)


async def _checked_levels(session: AsyncSession, levels: Sequence[LevelModels]) -> tuple[LevelModels, ...]:
    named: dict[str, UUID] = {}
    for place, served in enumerate(levels):
        named |= each_of(f"levels.{place}.model_ids", served.model_ids)
    await hold_models(session, named)
    return in_order({served.level: served.model_ids for served in levels})
