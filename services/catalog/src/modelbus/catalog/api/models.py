"""Models over REST; a model goes by its id or its public name, which may hold slashes."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field

from modelbus.catalog.actions import models as actions
from modelbus.catalog.api.references import each_once
from modelbus.catalog.api.sources import SourceView
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.domain.models import ModelType
from modelbus.catalog.store import models as store
from modelbus.catalog.store import sources as source_store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.service import Reading, Transaction

routes = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=OnceRoute)

RESERVED_ENDINGS = ("/sources", "/enable", "/disable")


def _can_be_shown(name: str) -> str:
    """Refuse a name whose path would lead to something else."""
    if isinstance(_key(name), UUID) or name.endswith(RESERVED_ENDINGS):
        raise ValueError(f"must not be a UUID, nor end in {', '.join(RESERVED_ENDINGS)}")
    return name


ModelName = Annotated[
    Name,
    Field(pattern=r"^[^\s?#%]+$", description="No white space, `?`, `#` or `%`."),
    AfterValidator(_can_be_shown),
]
TokenCount = Annotated[int, Field(ge=1, le=1_000_000_000)]
Aliases = Annotated[list[ModelName], Field(max_length=50), AfterValidator(each_once)]


class NewModel(Input):
    """A model made by hand; listings make most of them."""

    name: ModelName
    aliases: Aliases = Field(default_factory=list)
    """Other names under which callers may ask for it."""
    display_name: Name | None = None
    description: Text | None = None
    model_type: ModelType = ModelType.LANGUAGE
    context_window: TokenCount | None = None
    max_output_tokens: TokenCount | None = None
    is_active: bool = True

    def fields(self) -> dict[str, Any]:
        """Answer what the model is made of."""
        return {**self.model_dump(), "display_name": self.display_name or self.name}


class ModelChanges(Changes):
    """Fields to change; a field that may be emptied takes null."""

    name: ModelName = ""
    aliases: Aliases = Field(default_factory=list)
    display_name: Name = ""
    description: Text | None = None
    model_type: ModelType = ModelType.LANGUAGE
    context_window: TokenCount | None = None
    max_output_tokens: TokenCount | None = None
    is_active: bool = True


class ModelView(View):
    """A model as administrators see it."""

    id: UUID
    name: str
    aliases: list[str]
    display_name: str
    description: str | None
    model_type: str
    context_window: int | None
    max_output_tokens: int | None
    is_active: bool
    is_available: bool
    reason: str | None
    """Why it is not available."""
    since: datetime
    """Since when it is, or is not, available."""
    provenance: dict[str, str]
    """Who told a field: `administrator`, or the id of the supplier whose listing did."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class ModelPage(Page[ModelView]):
    """One page of models, with the number of all that match."""

    total: int


@routes.get("")
async def list_models(  # noqa: PLR0913, PLR0917 - each is a filter of its own in the query string
    session: Reading,
    paging: ByName,
    search: Annotated[str | None, Query(max_length=200)] = None,
    supplier_id: UUID | None = None,
    model_type: ModelType | None = None,
    is_available: bool | None = None,  # noqa: FBT001 - FastAPI passes by keyword
    is_active: bool | None = None,  # noqa: FBT001 - the same
) -> ModelPage:
    """List models in order of creation."""
    wanted = store.ModelFilter(search, supplier_id, model_type, is_available, is_active)
    found = page_of(ModelView, await store.list_models(session, wanted, paging=paging), paging)
    return ModelPage(items=found.items, next_cursor=found.next_cursor, total=await store.count_models(session, wanted))


@routes.post("", status_code=201)
async def create_model(new: NewModel, session: Transaction, answer: Shown) -> ModelView:
    """Add a model; it is unavailable until a source serves it."""
    return answer(ModelView, await actions.create_model(session, new.fields()))


@routes.get("/{model:path}/sources")
async def list_sources_of_model(model: str, session: Reading) -> Page[SourceView]:
    """List every source of a model, the preferred one first."""
    found = await store.get_model(session, _key(model))
    offered = await source_store.sources_of_models(session, [found.id])
    return Page(items=[SourceView.model_validate(each) for each in offered], next_cursor=None)


@routes.post("/{model:path}/enable")
async def enable_model(model: str, session: Transaction, answer: Shown) -> ModelView:
    """Put a model into service."""
    return answer(ModelView, await actions.change_model(session, _key(model), {"is_active": True}))


@routes.post("/{model:path}/disable")
async def disable_model(model: str, session: Transaction, answer: Shown) -> ModelView:
    """Take a model out of service, whatever sources it has."""
    return answer(ModelView, await actions.change_model(session, _key(model), {"is_active": False}))


@routes.get("/{model:path}")
async def show_model(model: str, session: Reading, answer: Shown) -> ModelView:
    """Show a model."""
    return answer(ModelView, await store.get_model(session, _key(model)))


@routes.patch("/{model:path}")
async def change_model(model: str, changes: ModelChanges, session: Transaction, answer: Shown) -> ModelView:
    """Change some fields of a model; no listing overwrites them from then on."""
    return answer(ModelView, await actions.change_model(session, _key(model), changes.given()))


@routes.delete("/{model:path}", status_code=204)
async def delete_model(model: str, session: Transaction) -> None:
    """Delete a model; what refers to it stays and is flagged."""
    await actions.delete_model(session, _key(model))


def _key(model: str) -> UUID | str:
    try:
        return UUID(model)
    except ValueError:
        return model
