"""Fallback chains over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, ConfigDict, Field

from modelbus.catalog.actions import chains as actions
from modelbus.catalog.api.references import ReferenceView, each_once
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.domain.chains import Target
from modelbus.catalog.store import chains as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.service import Reading, Transaction

routes = APIRouter(prefix="/api/v1/fallback-chains", tags=["fallback chains"], route_class=OnceRoute)

LONGEST_CHAIN = 50
ChainName = Annotated[
    Name,
    Field(
        pattern=r"^[A-Za-z0-9._/:-]+$",
        description="Callers use it like a model's: letters, digits, `.`, `_`, `-`, `/`, `:`.",
    ),
]


class NewStep(Input):
    """A model, or one exact source of it."""

    model_config = ConfigDict(frozen=True)

    model_id: UUID
    source_id: UUID | None = None
    """A source of that model; where left out, any source of it may serve."""


Steps = Annotated[list[NewStep], Field(min_length=1, max_length=LONGEST_CHAIN), AfterValidator(each_once)]


class NewChain(Input):
    """Fallback steps, the preferred one first."""

    name: ChainName
    description: Text | None = None
    is_active: bool = True
    steps: Steps

    def fields(self) -> dict[str, Any]:
        """Answer what the chain is made of."""
        return {**self.model_dump(), "steps": _targets(self.steps)}


class ChainChanges(Changes):
    """Fields to change; steps that are given replace all that there were."""

    name: ChainName = ""
    description: Text | None = None
    is_active: bool = True
    steps: Steps = Field(default_factory=list)

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        given = super().given()
        return {**given, "steps": _targets(self.steps)} if "steps" in given else given


class NewOrder(Input):
    """Another order of the steps that a chain has."""

    step_ids: Annotated[list[UUID], Field(max_length=LONGEST_CHAIN)]
    """Every step of the chain, each once."""


class StepView(ReferenceView):
    """A step, and whether it could serve right now."""

    id: UUID
    """Stays with the model and source, wherever they move within the chain."""
    position: int
    """0 is tried first."""
    source_id: UUID | None
    """None where any source of the model may serve."""


class ChainView(View):
    """A fallback chain as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    steps: list[StepView]
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_chains(session: Reading, paging: ByName, name: str | None = None) -> Page[ChainView]:
    """List fallback chains in order of creation."""
    return page_of(ChainView, await store.list_chains(session, name=name, paging=paging), paging)


@routes.post("", status_code=201)
async def create_chain(new: NewChain, session: Transaction, answer: Shown) -> ChainView:
    """Add a fallback chain; its name may not be that of a model or alias."""
    chain = await actions.create_chain(session, new.fields())
    return await show_chain(chain.id, session, answer)


@routes.get("/{chain_id}")
async def show_chain(chain_id: UUID, session: Reading, answer: Shown) -> ChainView:
    """Show a fallback chain, and which of its steps could serve right now."""
    return answer(ChainView, await store.show_chain(session, chain_id))


@routes.get("/{chain_id}/steps")
async def list_steps(chain_id: UUID, session: Reading, answer: Shown) -> Page[StepView]:
    """List the steps of a fallback chain, the preferred one first."""
    chain = await show_chain(chain_id, session, answer)
    return Page(items=chain.steps, next_cursor=None)


@routes.patch("/{chain_id}")
async def change_chain(chain_id: UUID, changes: ChainChanges, session: Transaction, answer: Shown) -> ChainView:
    """Change some fields of a fallback chain; steps that are given replace all that there were."""
    await actions.change_chain(session, chain_id, changes.given())
    return await show_chain(chain_id, session, answer)


@routes.put("/{chain_id}")
async def replace_chain(chain_id: UUID, new: NewChain, session: Transaction, answer: Shown) -> ChainView:
    """Set every field of a fallback chain."""
    await actions.change_chain(session, chain_id, new.fields())
    return await show_chain(chain_id, session, answer)


@routes.delete("/{chain_id}", status_code=204)
async def delete_chain(chain_id: UUID, session: Transaction) -> None:
    """Delete a fallback chain; callers who name it are refused."""
    await actions.delete_chain(session, chain_id)


@routes.post("/{chain_id}/reorder")
async def reorder_chain(chain_id: UUID, order: NewOrder, session: Transaction, answer: Shown) -> ChainView:
    """Put the steps of a fallback chain into another order."""
    await actions.reorder_chain(session, chain_id, order.step_ids)
    return await show_chain(chain_id, session, answer)


@routes.post("/{chain_id}/enable")
async def enable_chain(chain_id: UUID, session: Transaction, answer: Shown) -> ChainView:
    """Put a fallback chain into service."""
    await actions.change_chain(session, chain_id, {"is_active": True})
    return await show_chain(chain_id, session, answer)


@routes.post("/{chain_id}/disable")
async def disable_chain(chain_id: UUID, session: Transaction, answer: Shown) -> ChainView:
    """Take a fallback chain out of service."""
    await actions.change_chain(session, chain_id, {"is_active": False})
    return await show_chain(chain_id, session, answer)


def _targets(steps: list[NewStep]) -> list[Target]:
    return [Target(step.model_id, step.source_id) for step in steps]
