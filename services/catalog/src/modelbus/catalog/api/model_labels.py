"""The capabilities, categories and tags of one model over REST; the ETag is the model's."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from modelbus.catalog.actions import model_labels as actions
from modelbus.catalog.api.capabilities import CapabilityView
from modelbus.catalog.api.categories import CategoryView
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.labels import Config, ModelKey
from modelbus.catalog.api.tags import TagOfModel
from modelbus.catalog.api.views import Input, Shown, View
from modelbus.catalog.domain.models import Model
from modelbus.catalog.store import capabilities, categories, models, tags
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/models", tags=["labels of models"], route_class=OnceRoute, dependencies=GUARDS)


class ModelCapabilityView(CapabilityView):
    """A capability that a model has."""

    config: dict[str, Any]
    """Its settings for this model."""


class CapabilitiesOfModel(View):
    """What a model can do."""

    model_id: UUID
    version: int
    """The model's; the ETag."""
    items: list[ModelCapabilityView]


class CategoriesOfModel(View):
    """Where a model is in the tree."""

    model_id: UUID
    version: int
    """The model's; the ETag."""
    items: list[CategoryView]


class StandingToTag(TagOfModel):
    """A tag that a model has, or that was taken from it."""

    taken_away: bool
    """By hand: the model does not have it, whatever the rule says."""


class TagsOfModel(View):
    """The tags of a model."""

    model_id: UUID
    version: int
    """The model's; the ETag."""
    items: list[StandingToTag]


class CapabilitySettings(Input):
    """How a model has a capability."""

    config: Config = Field(default_factory=dict)
    """What the capability means for this model, in whatever terms your programs read."""


@routes.get("/{model:path}/capabilities")
async def list_capabilities_of_model(model: ModelKey, session: Reading, answer: Shown) -> CapabilitiesOfModel:
    """List what a model can do."""
    return await _capabilities(await models.get_model(session, model), session, answer)


@routes.put("/{model:path}/capabilities/{capability_id:uuid}")
async def give_capability(
    model: ModelKey, capability_id: UUID, settings: CapabilitySettings, session: Transaction, answer: Shown
) -> CapabilitiesOfModel:
    """Say that a model has a capability, with these settings in place of those that it had."""
    changed = await actions.give_capability(session, model, capability_id, settings.config)
    return await _capabilities(changed, session, answer)


@routes.delete("/{model:path}/capabilities/{capability_id:uuid}", status_code=204)
async def take_capability(model: ModelKey, capability_id: UUID, session: Transaction) -> None:
    """Say that a model does not have a capability."""
    await actions.take_capability(session, model, capability_id)


@routes.get("/{model:path}/categories")
async def list_categories_of_model(model: ModelKey, session: Reading, answer: Shown) -> CategoriesOfModel:
    """List the categories that a model is in."""
    return await _categories(await models.get_model(session, model), session, answer)


@routes.put("/{model:path}/categories/{category_id:uuid}")
async def put_into_category(
    model: ModelKey, category_id: UUID, session: Transaction, answer: Shown
) -> CategoriesOfModel:
    """Put a model into a category; it may be in many."""
    return await _categories(await actions.put_into_category(session, model, category_id), session, answer)


@routes.delete("/{model:path}/categories/{category_id:uuid}", status_code=204)
async def take_out_of_category(model: ModelKey, category_id: UUID, session: Transaction) -> None:
    """Take a model out of a category."""
    await actions.take_out_of_category(session, model, category_id)


@routes.get("/{model:path}/tags")
async def list_tags_of_model(model: ModelKey, session: Reading, answer: Shown) -> TagsOfModel:
    """List the tags of a model: those by hand, those by rule, and those that were taken away."""
    return await _tags(await models.get_model(session, model), session, answer)


@routes.put("/{model:path}/tags/{tag_id:uuid}")
async def give_tag(model: ModelKey, tag_id: UUID, session: Transaction, answer: Shown) -> TagsOfModel:
    """Give a model a tag by hand; it keeps it, whatever the tag's rule says."""
    return await _tags(await actions.give_tag(session, model, tag_id), session, answer)


@routes.delete("/{model:path}/tags/{tag_id:uuid}")
async def take_tag(model: ModelKey, tag_id: UUID, session: Transaction, answer: Shown) -> TagsOfModel:
    """Take a tag from a model; where the tag has a rule, it does not give it again."""
    return await _tags(await actions.take_tag(session, model, tag_id), session, answer)


@routes.post("/{model:path}/tags/{tag_id:uuid}/release")
async def leave_tag_to_rules(model: ModelKey, tag_id: UUID, session: Transaction, answer: Shown) -> TagsOfModel:
    """Take back what was decided about a tag of a model by hand: the tag's rule decides again."""
    return await _tags(await actions.leave_tag_to_rules(session, model, tag_id), session, answer)


async def _capabilities(model: Model, session: Reading, answer: Shown) -> CapabilitiesOfModel:
    return answer(CapabilitiesOfModel, _Of(model, await capabilities.capabilities_of(session, model.id)))


async def _categories(model: Model, session: Reading, answer: Shown) -> CategoriesOfModel:
    return answer(CategoriesOfModel, _Of(model, await categories.categories_of(session, model.id)))


async def _tags(model: Model, session: Reading, answer: Shown) -> TagsOfModel:
    return answer(TagsOfModel, _Of(model, await tags.tags_of(session, model.id)))


class _Of:
    """Labels with the model that they are of."""

    def __init__(self, model: Model, items: list[Any]) -> None:
        self.model_id, self.version, self.items = model.id, model.version, items
