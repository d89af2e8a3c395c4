"""Models over REST; a model goes by its id or its public name, which may hold slashes."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from modelbus.catalog.actions import default_models
from modelbus.catalog.actions import models as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.model_names import Aliases, Model, ModelName, key_of
from modelbus.catalog.api.model_parameters import Parameters, ParameterView
from modelbus.catalog.api.references import Breaking
from modelbus.catalog.api.sources import SourceView
from modelbus.catalog.api.views import Changes, Input, Name, Page, Shown, Text, View
from modelbus.catalog.domain.models import TOLD_FIELDS, Lifecycle, ModelType, Tier
from modelbus.catalog.store import models as store
from modelbus.catalog.store import sources as source_store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=OnceRoute, dependencies=GUARDS)

TokenCount = Annotated[int, Field(ge=1, le=1_000_000_000)]
_MODALITY = "(?:text|image|audio|video|file|embedding|rerank)"
_SEVERAL = rf"(?:{_MODALITY}(?:\+{_MODALITY})*)?"
Modalities = Annotated[
    str,
    Field(
        pattern=rf"^{_SEVERAL}->{_SEVERAL}$",
        max_length=120,
        description="Any of text, image, audio, video, file, embedding and rerank on either side: `text+image->text`.",
    ),
]


class NewModel(Input):
    """A model made by hand; listings make most of them."""

    name: ModelName
    aliases: Aliases = Field(default_factory=list)
    """Other names under which callers may ask for it."""
    display_name: Name | None = None
    """The name, where left out."""
    custom_name: Name | None = None
    """What your organisation calls it instead of the display name."""
    description: Text | None = None
    model_type: ModelType = ModelType.LANGUAGE
    sub_type: Name | None = None
    """A finer kind within the type, in your own words."""
    context_window: TokenCount | None = None
    max_output_tokens: TokenCount | None = None
    modalities: Modalities | None = None
    """What goes in and what comes out: `text+image->text`."""
    knowledge_cutoff: date | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    """A retired model is not available, whatever sources it has."""
    deprecated_at: AwareDatetime | None = None
    retires_at: AwareDatetime | None = None
    """From then on it is not available; nothing takes its place by itself."""
    replacement_model_id: UUID | None = None
    """The model that its users should move to."""
    tier: Tier = Tier.FREE
    """The tier that a consumer needs at least."""
    is_featured: bool = False
    parameters: Parameters = Field(default_factory=list)
    is_active: bool = True

    def fields(self) -> dict[str, Any]:
        """Answer what the model is made of."""
        return {**self.model_dump(), "display_name": self.display_name or self.name}

    def told(self) -> frozenset[str]:
        """Answer which of the fields that listings tell were told here; the others are for listings to tell."""
        return TOLD_FIELDS & self.model_fields_set - ({"display_name"} if self.display_name is None else set())


class ModelChanges(Changes):
    """Fields to change; a field that may be emptied takes null."""

    name: ModelName = ""
    aliases: Aliases = Field(default_factory=list)
    display_name: Name = ""
    custom_name: Name | None = None
    description: Text | None = None
    model_type: ModelType = ModelType.LANGUAGE
    sub_type: Name | None = None
    context_window: TokenCount | None = None
    max_output_tokens: TokenCount | None = None
    modalities: Modalities | None = None
    knowledge_cutoff: date | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    deprecated_at: AwareDatetime | None = None
    retires_at: AwareDatetime | None = None
    replacement_model_id: UUID | None = None
    tier: Tier = Tier.FREE
    is_featured: bool = False
    parameters: Parameters = Field(default_factory=list)
    is_active: bool = True


class NewDefault(Input):
    """The model that is to serve requests of its type that name none."""

    model_id: UUID


class ModelView(View):
    """A model as administrators see it."""

    id: UUID
    name: str
    aliases: list[str]
    display_name: str
    custom_name: str | None
    description: str | None
    model_type: str
    sub_type: str | None
    context_window: int | None
    max_output_tokens: int | None
    modalities: str | None
    """What goes in and what comes out, as in `text+image->text`; null is unknown."""
    knowledge_cutoff: date | None
    lifecycle: str
    """`active`, `deprecated` or `retired`, as configured."""
    deprecated_at: datetime | None
    retires_at: datetime | None
    replacement_model_id: UUID | None
    tier: str
    is_featured: bool
    is_default: bool
    """Whether it serves requests of its type that name no model."""
    parameters: list[ParameterView]
    capability_ids: list[UUID]
    category_ids: list[UUID]
    tag_ids: list[UUID] = Field(validation_alias="effective_tag_ids")
    """Given by hand or by rule."""
    is_active: bool
    is_available: bool
    reason: str | None
    """Why it is not available."""
    since: datetime
    """Since when it is, or is not, available."""
    provenance: dict[str, str]
    """Who told a field: `administrator`, the id of the supplier whose listing did, or `metadata:` and the file."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.post("", status_code=201)
async def create_model(new: NewModel, session: Transaction, answer: Shown) -> ModelView:
    """Add a model; it is unavailable until a source serves it. What is left out, listings may tell."""
    return answer(ModelView, await actions.create_model(session, new.fields(), new.told()))


@routes.post("/set-default")
async def set_default(new: NewDefault, session: Transaction, answer: Shown) -> ModelView:
    """Make a model the default of its type, in place of whichever was."""
    return answer(ModelView, await default_models.set_default_model(session, new.model_id))


@routes.get("/{model:path}/sources")
async def list_sources_of_model(model: Model, session: Reading) -> Page[SourceView]:
    """List every source of a model, the preferred one first."""
    found = await store.get_model(session, key_of(model))
    offered = await source_store.sources_of_models(session, [found.id])
    return Page(items=[SourceView.model_validate(each) for each in offered], next_cursor=None)


@routes.post("/{model:path}/set-default")
async def set_default_model(model: Model, session: Transaction, answer: Shown) -> ModelView:
    """Make this model the default of its type, in place of whichever was."""
    return answer(ModelView, await default_models.set_default_model(session, key_of(model)))


@routes.post("/{model:path}/enable")
async def enable_model(model: Model, session: Transaction, answer: Shown) -> ModelView:
    """Put a model into service."""
    return answer(ModelView, await actions.change_model(session, key_of(model), {"is_active": True}))


@routes.post("/{model:path}/disable")
async def disable_model(model: Model, session: Transaction, answer: Shown, breaking: Breaking) -> ModelView:
    """Take a model out of service, whatever sources it has."""
    return answer(ModelView, await actions.change_model(session, key_of(model), {"is_active": False}, breaking))


@routes.get("/{model:path}")
async def show_model(model: Model, session: Reading, answer: Shown) -> ModelView:
    """Show a model."""
    return answer(ModelView, await store.get_model(session, key_of(model)))


@routes.patch("/{model:path}")
async def change_model(
    model: Model, changes: ModelChanges, session: Transaction, answer: Shown, breaking: Breaking
) -> ModelView:
    """Change some fields of a model; no listing overwrites them from then on."""
    return answer(ModelView, await actions.change_model(session, key_of(model), changes.given(), breaking))


@routes.put("/{model:path}")
async def replace_model(
    model: Model, new: NewModel, session: Transaction, answer: Shown, breaking: Breaking
) -> ModelView:
    """Set every field of a model; of those that listings tell, what is left out is given back to them."""
    replaced = await actions.replace_model(session, key_of(model), new.fields(), new.told(), breaking)
    return answer(ModelView, replaced)


@routes.delete("/{model:path}", status_code=204)
async def delete_model(model: Model, session: Transaction, breaking: Breaking) -> None:
    """Delete a model; refused while something refers to it, unless that is to be left stale or rewritten."""
    await actions.delete_model(session, key_of(model), breaking)
