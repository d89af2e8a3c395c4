"""What can be done with tags; a change of a rule is in force for every model when it is answered."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.label_use import findings_of
from modelbus.catalog.actions.model_labels import change_all
from modelbus.catalog.actions.tagging import retag_all
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain import tag_rules
from modelbus.catalog.domain.errors import AlreadyExistsError, DanglingReferenceError
from modelbus.catalog.domain.label_errors import LabelInUseError
from modelbus.catalog.domain.tag_rules import HasCapability, Rule
from modelbus.catalog.domain.tags import Tag, forgotten, has_tag
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import capabilities, labelled, tags
from modelbus.catalog.store.tags import ModelTag, ModelWithTags
from modelbus.chassis.ids import new_id

_REMEDY = "repeat it with ?force=true to take it off the models"


async def create_tag(session: AsyncSession, fields: dict[str, Any], rule: Rule | None) -> Tag:
    """Add a tag, and give it to whom its rule gives it.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: the rule asks for a capability that does not exist.
    """
    await _refuse_taken_name(session, fields["name"])
    await hold_targets(session, rule)
    now = datetime.now(UTC)
    written = None if rule is None else tag_rules.written(rule)
    tag = Tag(**fields, rule=written, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    await tags.insert_tag(session, tag)
    await keep(session, None, tag)
    if rule is not None:
        await retag_all(session)
    return tag


async def change_tag(session: AsyncSession, tag_id: UUID, fields: dict[str, Any]) -> Tag:
    """Change the given fields; another rule gives and takes the tag at once. `fields["rule"]` is a rule or None.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: the rule asks for a capability that does not exist.
    """
    if (rule := fields.get("rule")) is not None:
        await hold_targets(session, rule)
        fields = {**fields, "rule": tag_rules.written(rule)}
    tag = await tags.lock_tag(session, tag_id)
    expect(session, tag)
    if fields.get("name", tag.name) != tag.name:
        await _refuse_taken_name(session, fields["name"])
    if replace(tag, **fields) == tag:
        return tag
    changed = stamp(replace(tag, **fields))
    await tags.save_tag(session, changed)
    await keep(session, tag, changed)
    if changed.rule != tag.rule:
        await retag_all(session)
    return changed


async def delete_tag(session: AsyncSession, tag_id: UUID, *, force: bool) -> None:
    """Take the tag out of the catalog, and off the models that have it.

    Raises:
        LabelInUseError: models have it by hand, and nobody has said that this is meant.
    """
    tag = await tags.lock_tag(session, tag_id)
    expect(session, tag)
    if not force:
        findings, total = await findings_of(session, tags.is_given_by_hand(tag_id))
        if findings:
            raise LabelInUseError("tag", findings, total, _REMEDY)
    await tags.save_tag(session, stamp(replace(tag, deleted_at=datetime.now(UTC))))
    await keep(session, tag, None)
    named = await labelled.ids_of_bearers(session, tags.is_named(tag_id))
    await change_all(session, named, lambda model: forgotten(model, tag_id))


async def hold_targets(session: AsyncSession, rule: Rule | None) -> None:
    """Hold what the rule names.

    Raises:
        DanglingReferenceError: there is no such capability.
    """
    if isinstance(rule, HasCapability) and not await capabilities.hold_capability(session, rule.capability_id):
        raise DanglingReferenceError("rule.capability_id", "capability", rule.capability_id)


async def with_their_tags(session: AsyncSession, found: Sequence[ModelWithTags]) -> list[ModelWithTags]:
    """Answer the models with the tags that users see of them, in the order of tags."""
    known = sorted(await tags.every_tag(session), key=lambda tag: (tag.position, tag.name))
    return [replace(model, tags=[_seen(model, tag) for tag in known if _is_seen(model, tag)]) for model in found]


def _is_seen(model: ModelWithTags, tag: Tag) -> bool:
    return has_tag(model, tag.id, by_rule=tag.id in model.rule_tag_ids)


def _seen(model: ModelWithTags, tag: Tag) -> ModelTag:
    fields = {name: getattr(tag, name) for name in Tag.__slots__}
    return ModelTag(**fields, by_hand=tag.id in model.tag_ids, by_rule=tag.id in model.rule_tag_ids)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await tags.is_name_taken(session, name):
        raise AlreadyExistsError("tag", "name", name)
