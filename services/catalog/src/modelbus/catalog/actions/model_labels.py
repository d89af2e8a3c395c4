"""What can be done with the labels of models: capabilities, categories and tags are given and taken."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import batched
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.models import lock_model
from modelbus.catalog.actions.telling import model_record
from modelbus.catalog.actions.versions import expect, note
from modelbus.catalog.domain.errors import DanglingReferenceError, NotFoundError
from modelbus.catalog.domain.label_errors import NotTaggedError
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.tags import left_to_rules, with_tag, without_tag
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import capabilities, categories, models, tags

CHANGED_AT_ONCE = 500

type Change = Callable[[Model], Model]


async def give_capability(session: AsyncSession, key: UUID | str, capability_id: UUID, config: dict[str, Any]) -> Model:
    """Say that a model has a capability, with these settings.

    Raises:
        DanglingReferenceError: there is no such capability.
    """
    # The label before the model: whoever deletes a label takes them in this order.
    if not await capabilities.hold_capability(session, capability_id):
        raise DanglingReferenceError("capability_id", "capability", capability_id)
    return await _change_one(session, key, lambda model: with_capability(model, capability_id, config))


async def take_capability(session: AsyncSession, key: UUID | str, capability_id: UUID) -> None:
    """Say that a model does not have a capability.

    Raises:
        NotFoundError: it does not have it anyway.
    """

    def change(model: Model) -> Model:
        if str(capability_id) not in model.capabilities:
            raise NotFoundError(f"capability of model {model.name!r}", capability_id)
        return without_capability(model, capability_id)

    await _change_one(session, key, change)


async def put_into_category(session: AsyncSession, key: UUID | str, category_id: UUID) -> Model:
    """Put a model into a category.

    Raises:
        DanglingReferenceError: there is no such category.
    """
    if not await categories.hold_categories(session, [category_id]):
        raise DanglingReferenceError("category_id", "category", category_id)

    def change(model: Model) -> Model:
        ids = model.category_ids
        return model if category_id in ids else replace(model, category_ids=[*ids, category_id])

    return await _change_one(session, key, change)


async def take_out_of_category(session: AsyncSession, key: UUID | str, category_id: UUID) -> None:
    """Take a model out of a category.

    Raises:
        NotFoundError: it is not in it anyway.
    """

    def change(model: Model) -> Model:
        if category_id not in model.category_ids:
            raise NotFoundError(f"category of model {model.name!r}", category_id)
        return without_category(model, category_id)

    await _change_one(session, key, change)


async def give_tag(session: AsyncSession, key: UUID | str, tag_id: UUID) -> Model:
    """Give a model a tag by hand; it keeps it whatever the rules say."""
    await tags.hold_tag(session, tag_id)
    return await _change_one(session, key, lambda model: with_tag(model, tag_id))


async def take_tag(session: AsyncSession, key: UUID | str, tag_id: UUID) -> Model:
    """Take a tag from a model; no rule gives it again."""
    tag = await tags.hold_tag(session, tag_id)
    return await _change_one(session, key, lambda model: without_tag(model, tag_id, has_rule=tag.rule is not None))


async def leave_tag_to_rules(session: AsyncSession, key: UUID | str, tag_id: UUID) -> Model:
    """Take back what was decided about a tag of a model by hand.

    Raises:
        NotTaggedError: nothing was.
    """
    tag = await tags.hold_tag(session, tag_id)

    def change(model: Model) -> Model:
        if tag_id not in {*model.tag_ids, *model.untagged_ids}:
            raise NotTaggedError(model.name, tag.name)
        return left_to_rules(model, tag_id)

    return await _change_one(session, key, change)


async def change_all(session: AsyncSession, model_ids: Iterable[UUID], change: Change) -> None:
    """Change the labels of many models, in order of their ids."""
    for some in batched(sorted(model_ids), CHANGED_AT_ONCE):
        held = await models.lock_models(session, some)
        await _save(session, [(model, change(model)) for model in held.values() if model.deleted_at is None])


def with_capability(model: Model, capability_id: UUID, config: dict[str, Any]) -> Model:
    """Answer the model with the capability."""
    given = {**model.capabilities, str(capability_id): config}
    return replace(model, capabilities=given, provenance=model.telling_capabilities())


def without_capability(model: Model, capability_id: UUID) -> Model:
    """Answer the model without the capability."""
    left = {key: config for key, config in model.capabilities.items() if key != str(capability_id)}
    return replace(model, capabilities=left, provenance=model.telling_capabilities())


def without_category(model: Model, category_id: UUID) -> Model:
    """Answer the model outside the category."""
    return replace(model, category_ids=[each for each in model.category_ids if each != category_id])


async def _change_one(session: AsyncSession, key: UUID | str, change: Change) -> Model:
    model = await lock_model(session, key)
    expect(session, model)
    await _save(session, [(model, change(model))])
    return await models.get_model(session, model.id)


async def _save(session: AsyncSession, changes: Iterable[tuple[Model, Model]]) -> None:
    """Save the locked models that differ; a version is made of what somebody decided, not of what rules gave."""
    saved: list[Model] = []
    told: list[UUID] = []
    for before, wanted in changes:
        if wanted == before:
            continue
        is_decided = replace(wanted, rule_tag_ids=before.rule_tag_ids) != before
        after = stamp(wanted) if is_decided else wanted
        note(session, before, after)
        saved.append(after)
        if model_record(after) != model_record(before):
            told.append(after.id)
    await models.save_models(session, saved)
    await settle(session, [model.id for model in saved], changed_models=told)
