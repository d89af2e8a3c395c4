"""Fallback chains over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import chains as actions
from modelbus.catalog.actions import default_chains as defaults
from modelbus.catalog.actions.default_chains import Outcome
from modelbus.catalog.api.chain_steps import AddedStep, StepChanges, Steps, StepView, targets_of
from modelbus.catalog.api.checks import Checked, CheckedView
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.older_shapes import Compat, OlderStepView, beside
from modelbus.catalog.api.references import Wanted, WarningView
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.domain.chains import LONGEST_CHAIN
from modelbus.catalog.store import chains as store
from modelbus.catalog.store.older_shapes import older_steps
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(
    prefix="/api/v1/fallback-chains", tags=["fallback chains"], route_class=OnceRoute, dependencies=GUARDS
)

ChainName = Annotated[
    Name,
    Field(
        pattern=r"^[A-Za-z0-9._/:-]+$",
        description="Callers use it like a model's: letters, digits, `.`, `_`, `-`, `/`, `:`.",
    ),
]
Force = Annotated[bool, Query(description="Take it although none of its steps could serve right now.")]


class NewChain(Input):
    """Fallback steps, the preferred one first."""

    name: ChainName
    description: Text | None = None
    is_active: bool = True
    steps: Steps

    def fields(self) -> dict[str, Any]:
        """Answer what the chain is made of."""
        return {**self.model_dump(), "steps": targets_of(self.steps)}


class ChainChanges(Changes):
    """Fields to change; steps that are given replace all that there were."""

    name: ChainName = ""
    description: Text | None = None
    is_active: bool = True
    steps: Steps = Field(default_factory=list)

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        given = super().given()
        return {**given, "steps": targets_of(self.steps)} if "steps" in given else given


class NewOrder(Input):
    """Another order of the steps that a chain has."""

    step_ids: Annotated[list[UUID], Field(max_length=LONGEST_CHAIN)]
    """Every step of the chain, each once."""


class ChainView(CheckedView):
    """A fallback chain as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    steps: list[StepView]
    origin: str
    """`default` where it was built from what was available and is kept up to date by building again; `administrator`
    once somebody has decided on its name or steps."""
    warnings: list[WarningView]
    """What of it could not serve right now."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime
    models: list[OlderStepView] | None = beside("The steps by the names of suppliers and models.")


class BuiltChain(View):
    """One default chain, with what came of it."""

    name: str
    outcome: Outcome
    """`created`, `changed`, `unchanged`; `kept`: somebody has decided on it; `name_taken`: a model or a split has the
    name; `left`: nothing that is available fills it any more, and it stays as it was."""
    chain_id: UUID | None
    model_ids: list[UUID]
    """Of its steps, in order."""


class BuiltChains(View):
    """What building the default chains did, or would do."""

    dry_run: bool
    chains: list[BuiltChain]
    """In order of name."""


@routes.get("")
async def list_chains(session: Reading, paging: ByName, wanted: Wanted, compat: Compat = None) -> Page[ChainView]:
    """List fallback chains, and which of their steps could serve right now."""
    page = page_of(ChainView, await store.list_chains(session, wanted, paging=paging), paging)
    if compat:
        await _add_older_steps(session, page.items)
    return page


@routes.post("", status_code=201)
async def create_chain(
    new: NewChain, session: Transaction, answer: Shown, checked: Checked, *, force: Force = False
) -> ChainView:
    """Add a fallback chain; its name may not be that of a model or alias. Steps that can't serve are warned of."""
    chain = await actions.create_chain(session, new.fields(), force=force)
    return await _checked(checked, await show_chain(chain.id, session, answer))


@routes.post("/default")
async def build_default_chains(
    session: Transaction,
    *,
    dry_run: Annotated[bool, Query(description="Only tell what building would do.")] = False,
) -> BuiltChains:
    """Build the default chains from what is available right now, or bring those that were built before up to date.

    For each type of model, `default/<type>/cheapest` and `default/<type>/strongest`; for each capability within it,
    `default/<type>/<capability>/cheapest` and `.../strongest`. Each has up to three models; every step goes to a
    supplier that the steps before it do not have, as long as there is one. Embeddings have one, as vectors of
    different models can't be compared. Strongest are featured models, then the dearer, then those of the wider
    context. Chains on whose name or steps somebody has decided are left alone.
    """
    return BuiltChains(
        dry_run=dry_run,
        chains=[
            BuiltChain.model_validate(each) for each in await defaults.build_default_chains(session, dry_run=dry_run)
        ],
    )


@routes.get("/{chain_id}")
async def show_chain(chain_id: UUID, session: Reading, answer: Shown, compat: Compat = None) -> ChainView:
    """Show a fallback chain, and which of its steps could serve right now."""
    shown = answer(ChainView, await store.show_chain(session, chain_id))
    if compat:
        await _add_older_steps(session, [shown])
    return shown


@routes.get("/{chain_id}/steps")
async def list_steps(chain_id: UUID, session: Reading, answer: Shown) -> Page[StepView]:
    """List the steps of a fallback chain, the preferred one first."""
    chain = await show_chain(chain_id, session, answer)
    return Page(items=chain.steps, next_cursor=None)


@routes.post("/{chain_id}/steps", status_code=201)
async def add_step(
    chain_id: UUID, new: AddedStep, session: Transaction, answer: Shown, *, force: Force = False
) -> ChainView:
    """Add one step to a fallback chain; the answer is the whole chain."""
    await actions.add_step(session, chain_id, new.target(), new.position, force=force)
    return await show_chain(chain_id, session, answer)


@routes.patch("/{chain_id}/steps/{step_id}")
async def change_step(
    chain_id: UUID, step_id: UUID, changes: StepChanges, session: Transaction, answer: Shown, *, force: Force = False
) -> ChainView:
    """Change one step of a fallback chain, or move it; the answer is the whole chain."""
    await actions.change_step(session, chain_id, step_id, changes.given(), force=force)
    return await show_chain(chain_id, session, answer)


@routes.delete("/{chain_id}/steps/{step_id}", status_code=204)
async def remove_step(chain_id: UUID, step_id: UUID, session: Transaction, *, force: Force = False) -> None:
    """Take one step out of a fallback chain, which keeps at least one."""
    await actions.remove_step(session, chain_id, step_id, force=force)


@routes.patch("/{chain_id}")
async def change_chain(
    chain_id: UUID,
    changes: ChainChanges,
    session: Transaction,
    answer: Shown,
    checked: Checked,
    *,
    force: Force = False,
) -> ChainView:
    """Change some fields of a fallback chain; steps that are given replace all that there were."""
    await actions.change_chain(session, chain_id, changes.given(), force=force)
    return await _checked(checked, await show_chain(chain_id, session, answer))


@routes.put("/{chain_id}")
async def replace_chain(
    chain_id: UUID, new: NewChain, session: Transaction, answer: Shown, checked: Checked, *, force: Force = False
) -> ChainView:
    """Set every field of a fallback chain."""
    await actions.change_chain(session, chain_id, new.fields(), force=force)
    return await _checked(checked, await show_chain(chain_id, session, answer))


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


async def _checked(checked: Checked, chain: ChainView) -> ChainView:
    steps = [step.model_dump(mode="json", include={"id", "model_id", "source_id"}) for step in chain.steps]
    return await checked(chain, {"config_type": "fallback", "id": str(chain.id), "name": chain.name, "steps": steps})


async def _add_older_steps(session: AsyncSession, shown: list[ChainView]) -> None:
    steps = await older_steps(session, [chain.id for chain in shown])
    for chain in shown:
        chain.models = [OlderStepView.model_validate(step) for step in steps[chain.id]]
