"""What can be done with capabilities."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.label_use import findings_of
from modelbus.catalog.actions.model_labels import change_all, without_capability
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.capabilities import Capability
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.label_errors import LabelInUseError
from modelbus.catalog.domain.tags import Tag
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import capabilities, labelled, tags
from modelbus.chassis.ids import new_id

_REMEDY = "repeat it with ?force=true to take it off the models, and to end the rules that ask for it"


async def create_capability(session: AsyncSession, fields: dict[str, Any]) -> Capability:
    """Add a capability.

    Raises:
        AlreadyExistsError: the name is taken.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    capability = Capability(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    await capabilities.insert_capability(session, capability)
    await keep(session, None, capability)
    return capability


async def change_capability(session: AsyncSession, capability_id: UUID, fields: dict[str, Any]) -> Capability:
    """Change the given fields; a change that changes nothing tells nothing."""
    capability = await capabilities.lock_capability(session, capability_id)
    expect(session, capability)
    if fields.get("name", capability.name) != capability.name:
        await _refuse_taken_name(session, fields["name"])
    if replace(capability, **fields) == capability:
        return capability
    changed = stamp(replace(capability, **fields))
    await capabilities.save_capability(session, changed)
    await keep(session, capability, changed)
    return changed


async def delete_capability(session: AsyncSession, capability_id: UUID, *, force: bool) -> None:
    """Take the capability out of the catalog, and off the models that have it.

    Raises:
        LabelInUseError: models have it or a tag's rule asks for it, and nobody has said that this is meant.
    """
    capability = await capabilities.lock_capability(session, capability_id)
    expect(session, capability)
    asking = await tags.lock_tags_by_capability(session, capability_id)
    bears = capabilities.has(capability_id)
    if not force:
        await _refuse_use(session, capability_id, asking)
    await capabilities.save_capability(session, stamp(replace(capability, deleted_at=datetime.now(UTC))))
    await keep(session, capability, None)
    for tag in asking:
        changed = stamp(replace(tag, rule=None))
        await tags.save_tag(session, changed)
        await keep(session, tag, changed)
    having = await labelled.ids_of_bearers(session, bears)
    await change_all(session, having, lambda model: without_capability(model, capability_id))


async def _refuse_use(session: AsyncSession, capability_id: UUID, asking: list[Tag]) -> None:
    findings, total = await findings_of(session, capabilities.has(capability_id))
    for tag in asking:
        message = f"tag {tag.name!r}, whose rule asks for it"
        findings.append({"kind": Tag.KIND, "id": str(tag.id), "name": tag.name, "message": message})
    if findings:
        raise LabelInUseError("capability", findings, total + len(asking), _REMEDY)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await capabilities.is_name_taken(session, name):
        raise AlreadyExistsError("capability", "name", name)
