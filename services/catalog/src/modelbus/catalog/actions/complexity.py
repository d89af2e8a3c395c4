"""What can be done with complexity routings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.actions.telling import complexity_record
from modelbus.catalog.domain.complexity import ComplexityRouting, LevelModels, in_order
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.store import complexity
from modelbus.chassis import outbox
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import ComplexityChanged


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
    await outbox.record(session, ComplexityChanged.to(complexity_record(routing)))
    return routing


async def change_complexity_routing(
    session: AsyncSession, routing_id: UUID, fields: dict[str, Any]
) -> ComplexityRouting:
    """Change the given fields; a change that changes nothing tells nothing."""
    routing = await complexity.lock_complexity_routing(session, routing_id)
    if fields.get("name", routing.name) != routing.name:
        await _refuse_taken_name(session, fields["name"])
    if "levels" in fields:
        fields = {**fields, "levels": await _checked_levels(session, fields["levels"])}
    if replace(routing, **fields) == routing:
        return routing
    changed = replace(routing, **fields, updated_at=datetime.now(UTC))
    await complexity.save_complexity_routing(session, changed)
    if changed.levels != routing.levels:
        await complexity.save_levels(session, changed)
    await outbox.record(session, ComplexityChanged.to(complexity_record(changed)))
    return changed


async def delete_complexity_routing(session: AsyncSession, routing_id: UUID) -> None:
    """Take the complexity routing out of the catalog; its name may be used again."""
    routing = await complexity.lock_complexity_routing(session, routing_id)
    now = datetime.now(UTC)
    await complexity.save_complexity_routing(session, replace(routing, deleted_at=now, updated_at=now))
    await outbox.record(session, ComplexityChanged.gone(routing_id))


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await complexity.is_name_taken(session, name):
        raise AlreadyExistsError("complexity routing", "name", name)


async def _checked_levels(session: AsyncSession, levels: Sequence[LevelModels]) -> tuple[LevelModels, ...]:
    named: dict[str, UUID] = {}
    for place, served in enumerate(levels):
        named |= each_of(f"levels.{place}.model_ids", served.model_ids)
    await hold_models(session, named)
    return in_order({served.level: served.model_ids for served in levels})
