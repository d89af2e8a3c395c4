"""Capabilities over REST, and which models have them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from modelbus.catalog.actions import capabilities as actions
from modelbus.catalog.actions import model_labels
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.labels import ByModel, Config, Force, Search, Word
from modelbus.catalog.api.references import each_once
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.domain.capabilities import DataType, Domain
from modelbus.catalog.store import capabilities as store
from modelbus.catalog.store.capabilities import CapabilityFilter
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/capabilities", tags=["capabilities"], route_class=OnceRoute, dependencies=GUARDS)

DataTypes = Annotated[list[DataType], Field(min_length=1, max_length=len(DataType)), AfterValidator(each_once)]


class NewCapability(Input):
    """Something that models can do."""

    name: Word
    """For programs: lower-case letters, digits, `_`, `.` and `-`."""
    display_name: Name | None = None
    """For people; the name where it is left out."""
    description: Text | None = None
    domain: Domain
    input_types: DataTypes
    output_types: DataTypes

    def fields(self) -> dict[str, Any]:
        """Answer what the capability is made of."""
        return {**self.model_dump(), "display_name": self.display_name or self.name}


class CapabilityChanges(Changes):
    """Fields to change; types that are given replace all that there were."""

    name: Word = ""
    display_name: Name = ""
    description: Text | None = None
    domain: Domain = Domain.NLP
    input_types: DataTypes = Field(default_factory=list)
    output_types: DataTypes = Field(default_factory=list)


class CapabilityView(View):
    """A capability."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    domain: str
    """`nlp`, `cv`, `audio` or `multimodal`."""
    input_types: list[str]
    output_types: list[str]
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class NewCapabilityAssociation(Input):
    """That a model has a capability."""

    model_id: UUID
    capability_id: UUID
    config: Config = Field(default_factory=dict)
    """What the capability means for this model, in whatever terms your programs read."""


class CapabilityAssociationView(View):
    """That a model has a capability."""

    model_id: UUID
    model_name: str
    capability_id: UUID = Field(validation_alias="id")
    capability_name: str
    config: dict[str, Any]


@routes.get("")
async def list_capabilities(  # noqa: PLR0913, PLR0917 - each is a filter of its own in the query string
    session: Reading,
    paging: ByName,
    name: str | None = None,
    search: Search = None,
    domain: Domain | None = None,
    input_type: DataType | None = None,
    output_type: DataType | None = None,
) -> Page[CapabilityView]:
    """List capabilities."""
    wanted = CapabilityFilter(name, search, domain, input_type, output_type)
    return page_of(CapabilityView, await store.list_capabilities(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_capability(new: NewCapability, session: Transaction, answer: Shown) -> CapabilityView:
    """Add a capability."""
    return answer(CapabilityView, await actions.create_capability(session, new.fields()))


@routes.get("/associations")
async def list_capability_associations(
    session: Reading, paging: ByModel, model_id: UUID | None = None, capability_id: UUID | None = None
) -> Page[CapabilityAssociationView]:
    """List which model has which capability."""
    found = await store.list_associations(session, model_id=model_id, capability_id=capability_id, paging=paging)
    return page_of(CapabilityAssociationView, found, paging)


@routes.post("/associations", status_code=201)
async def associate_capability(new: NewCapabilityAssociation, session: Transaction) -> CapabilityAssociationView:
    """Say that a model has a capability; where it has it already, its settings are replaced."""
    model = await model_labels.give_capability(session, new.model_id, new.capability_id, new.config)
    capability = await store.get_capability(session, new.capability_id)
    return CapabilityAssociationView(
        id=capability.id,
        capability_name=capability.name,
        model_id=model.id,
        model_name=model.name,
        config=model.capabilities[str(capability.id)],
    )


@routes.delete("/associations", status_code=204)
async def dissociate_capability(session: Transaction, model_id: UUID, capability_id: UUID) -> None:
    """Say that a model does not have a capability."""
    await model_labels.take_capability(session, model_id, capability_id)


@routes.get("/{capability_id}")
async def show_capability(capability_id: UUID, session: Reading, answer: Shown) -> CapabilityView:
    """Show a capability."""
    return answer(CapabilityView, await store.get_capability(session, capability_id))


@routes.patch("/{capability_id}")
async def change_capability(
    capability_id: UUID, changes: CapabilityChanges, session: Transaction, answer: Shown
) -> CapabilityView:
    """Change some fields of a capability; the models that have it keep it."""
    return answer(CapabilityView, await actions.change_capability(session, capability_id, changes.given()))


@routes.put("/{capability_id}")
async def replace_capability(
    capability_id: UUID, new: NewCapability, session: Transaction, answer: Shown
) -> CapabilityView:
    """Set every field of a capability; the models that have it keep it."""
    return answer(CapabilityView, await actions.change_capability(session, capability_id, new.fields()))


@routes.delete("/{capability_id}", status_code=204)
async def delete_capability(
    capability_id: UUID,
    session: Transaction,
    force: Force = False,  # noqa: FBT002 - FastAPI passes by keyword
) -> None:
    """Delete a capability; refused while models have it or the rule of a tag asks for it, unless forced."""
    await actions.delete_capability(session, capability_id, force=force)
