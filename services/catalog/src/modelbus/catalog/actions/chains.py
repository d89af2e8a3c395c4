"""What can be done with chains."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.names import claim_names
from modelbus.catalog.actions.references import hold_targets
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.chains import Chain, ChainOrigin, Target, arrange, insert
from modelbus.catalog.domain.routing_errors import OnlyStaleStepsError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import chains, references
from modelbus.chassis.ids import new_id


async def create_chain(session: AsyncSession, fields: dict[str, Any], *, force: bool = False) -> Chain:
    """Add a chain; `fields["steps"]` are targets.

    Raises:
        AlreadyExistsError: a chain, a model or an alias has the name.
        DanglingReferenceError: a step names a model or a source that does not exist.
        WrongSourceError: a step names a source of another model.
        OnlyStaleStepsError: no step could serve, and `force` does not say that this is meant.
    """
    await claim_names(session, [fields["name"]])
    await _refuse_wrong_targets(session, fields["steps"])
    await _refuse_stale_targets(session, fields["steps"], force=force)
    now = datetime.now(UTC)
    steps = arrange((), fields["steps"], new_id)
    chain = Chain(**{**fields, "steps": steps}, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    await chains.insert_chain(session, chain)
    await keep(session, None, chain)
    return chain


async def change_chain(session: AsyncSession, chain_id: UUID, fields: dict[str, Any], *, force: bool = False) -> Chain:
    """Change the given fields; a change that changes nothing tells nothing."""
    if "name" in fields:
        await claim_names(session, [fields["name"]], holder=chain_id)
    if "steps" in fields:
        # The models before the chain, as who replaces a model everywhere takes them.
        await _refuse_wrong_targets(session, fields["steps"])
    chain = await chains.lock_chain(session, chain_id)
    expect(session, chain)
    if "steps" in fields:
        fields = {**fields, "steps": arrange(chain.steps, fields["steps"], new_id)}
    return await _decide(session, chain, replace(chain, **fields), force=force)


async def add_step(
    session: AsyncSession, chain_id: UUID, target: Target, position: int | None, *, force: bool = False
) -> Chain:
    """Add one step to a chain, at its end where no position is given.

    Raises:
        AlreadyExistsError: a step of the chain goes there already.
        ChainFullError: the chain holds no more.
    """
    await _refuse_wrong_targets(session, [target], at="")
    chain = await _hold(session, chain_id)
    return await _decide(session, chain, _going_to(chain, insert(chain.targets, target, position)), force=force)


async def change_step(
    session: AsyncSession, chain_id: UUID, step_id: UUID, fields: dict[str, Any], *, force: bool = False
) -> Chain:
    """Change one step of a chain, or move it; a step that goes to another model or source is another step."""
    chain = await _hold(session, chain_id)
    place = chain.place_of(step_id)
    position = fields.pop("position", place)
    if "model_id" in fields:
        # A source belongs to its model, and goes with it.
        fields = {"source_id": None, **fields}
    target = replace(chain.targets[place], **fields)
    if target.place != chain.targets[place].place:
        await _refuse_wrong_targets(session, [target], at="")
    others = [*chain.targets[:place], *chain.targets[place + 1 :]]
    return await _decide(session, chain, _going_to(chain, insert(others, target, position)), force=force)


async def remove_step(session: AsyncSession, chain_id: UUID, step_id: UUID, *, force: bool = False) -> Chain:
    """Take one step out of a chain.

    Raises:
        LastStepError: it is the only one.
    """
    chain = await _hold(session, chain_id)
    return await _decide(session, chain, _going_to(chain, chain.without(step_id)), force=force)


async def reorder_chain(session: AsyncSession, chain_id: UUID, step_ids: Sequence[UUID]) -> Chain:
    """Put the steps into another order.

    Raises:
        WrongStepsError: the ids are not exactly those of the chain's steps.
    """
    chain = await _hold(session, chain_id)
    return await _decide(session, chain, chain.reorder(step_ids))


async def delete_chain(session: AsyncSession, chain_id: UUID) -> None:
    """Take the chain out of the catalog; its name may be used again."""
    chain = await chains.lock_chain(session, chain_id)
    expect(session, chain)
    await chains.save_chain(session, stamp(replace(chain, deleted_at=datetime.now(UTC))))
    await keep(session, chain, None)


async def _hold(session: AsyncSession, chain_id: UUID) -> Chain:
    # Steps that are written anew hold their models again; taken after the chain, they could be waited for in a ring.
    seen = await chains.get_chain(session, chain_id)
    await references.hold_models(session, {target.model_id for target in seen.targets})
    chain = await chains.lock_chain(session, chain_id)
    expect(session, chain)
    return chain


def _going_to(chain: Chain, targets: Sequence[Target]) -> Chain:
    return replace(chain, steps=arrange(chain.steps, targets, new_id))


async def _decide(session: AsyncSession, before: Chain, after: Chain, *, force: bool = False) -> Chain:
    """Change a chain because somebody wants it so, who decides on its name and steps from now on."""
    if {target.place for target in after.targets} != {target.place for target in before.targets}:
        await _refuse_stale_targets(session, after.targets, force=force)
    if (after.name, after.steps) != (before.name, before.steps):
        after = replace(after, origin=ChainOrigin.ADMINISTRATOR)
    return await save_changed(session, before, after)


async def _refuse_wrong_targets(session: AsyncSession, targets: Sequence[Target], *, at: str = "steps.{}.") -> None:
    await hold_targets(session, {at.format(place): target for place, target in enumerate(targets)})


async def _refuse_stale_targets(session: AsyncSession, targets: Sequence[Target], *, force: bool) -> None:
    if not force and not await references.is_any_available(session, [target.place for target in targets]):
        raise OnlyStaleStepsError
