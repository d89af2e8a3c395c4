"""What can be done with complexity routings."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.complexity import Classifier, ComplexityRouting, LevelModels, in_order
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import complexity
from modelbus.chassis.ids import new_id


async def create_complexity_routing(session: AsyncSession, fields: dict[str, Any]) -> ComplexityRouting:
    """Add a complexity routing; `fields["levels"]` are `LevelModels` in any order, each level at most once.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: a level names a model that does not exist, or the judge does not.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    checked = await _checked(session, fields)
    routing = ComplexityRouting(**checked, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    await complexity.insert_complexity_routing(session, routing)
    await keep(session, None, routing)
    return routing


async def change_complexity_routing(
    session: AsyncSession, routing_id: UUID, fields: dict[str, Any]
) -> ComplexityRouting:
    """Change the given fields; a change that changes nothing tells nothing."""
    # The models before the routing, as who replaces a model everywhere takes them.
    fields = await _checked(session, fields)
    routing = await complexity.lock_complexity_routing(session, routing_id)
    expect(session, routing)
    if fields.get("name", routing.name) != routing.name:
        await _refuse_taken_name(session, fields["name"])
    return await save_changed(session, routing, replace(routing, **fields))


async def delete_complexity_routing(session: AsyncSession, routing_id: UUID) -> None:
    """Take the complexity routing out of the catalog; its name may be used again."""
    routing = await complexity.lock_complexity_routing(session, routing_id)
    expect(session, routing)
    gone = stamp(replace(routing, deleted_at=datetime.now(UTC)))
    await complexity.save_complexity_routing(session, gone)
    await keep(session, routing, None)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await complexity.find_complexity_routing(session, name) is not None:
        raise AlreadyExistsError("complexity routing", "name", name)


async def _checked(session: AsyncSession, fields: dict[str, Any]) -> dict[str, Any]:
    levels: Sequence[LevelModels] = fields.get("levels", ())
    named: dict[str, UUID] = {}
    for place, served in enumerate(levels):
        named |= each_of(f"levels.{place}.model_ids", served.model_ids)
    classifier: Classifier | None = fields.get("classifier")
    if classifier is not None and classifier.judge_model_id is not None:
        named["classifier.judge_model_id"] = classifier.judge_model_id
    await hold_models(session, named)
    ordered = in_order({served.level: served.model_ids for served in levels})
    return {**fields, "levels": ordered} if "levels" in fields else fields
