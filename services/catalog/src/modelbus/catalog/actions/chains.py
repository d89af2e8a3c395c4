"""What can be done with chains."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.names import claim_names
from modelbus.catalog.actions.references import hold_models
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.chains import Chain, Target, arrange
from modelbus.catalog.domain.errors import DanglingReferenceError, WrongSourceError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import chains, references
from modelbus.chassis.ids import new_id


async def create_chain(session: AsyncSession, fields: dict[str, Any]) -> Chain:
    """Add a chain; `fields["steps"]` are targets.

    Raises:
        AlreadyExistsError: a chain, a model or an alias has the name.
        DanglingReferenceError: a step names a model or a source that does not exist.
        WrongSourceError: a step names a source of another model.
    """
    await claim_names(session, [fields["name"]])
    await _refuse_wrong_targets(session, fields["steps"])
    now = datetime.now(UTC)
    steps = arrange((), fields["steps"], new_id)
    chain = Chain(**{**fields, "steps": steps}, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    await chains.insert_chain(session, chain)
    await keep(session, None, chain)
    return chain


async def change_chain(session: AsyncSession, chain_id: UUID, fields: dict[str, Any]) -> Chain:
    """Change the given fields; a change that changes nothing tells nothing."""
    if "name" in fields:
        await claim_names(session, [fields["name"]], holder=chain_id)
    chain = await chains.lock_chain(session, chain_id)
    expect(session, chain)
    if "steps" in fields:
        await _refuse_wrong_targets(session, fields["steps"])
        fields = {**fields, "steps": arrange(chain.steps, fields["steps"], new_id)}
    return await _save(session, chain, replace(chain, **fields))


async def reorder_chain(session: AsyncSession, chain_id: UUID, step_ids: Sequence[UUID]) -> Chain:
    """Put the steps into another order.

    Raises:
        WrongStepsError: the ids are not exactly those of the chain's steps.
    """
    chain = await chains.lock_chain(session, chain_id)
    expect(session, chain)
    return await _save(session, chain, chain.reorder(step_ids))


async def delete_chain(session: AsyncSession, chain_id: UUID) -> None:
    """Take the chain out of the catalog; its name may be used again."""
    chain = await chains.lock_chain(session, chain_id)
    expect(session, chain)
    await chains.save_chain(session, stamp(replace(chain, deleted_at=datetime.now(UTC))))
    await keep(session, chain, None)


async def _save(session: AsyncSession, before: Chain, after: Chain) -> Chain:
    if after == before:
        return before
    changed = stamp(after)
    await chains.save_chain(session, changed)
    if changed.steps != before.steps:
        await chains.save_steps(session, changed)
    await keep(session, before, changed)
    return changed


async def _refuse_wrong_targets(session: AsyncSession, targets: Sequence[Target]) -> None:
    await hold_models(session, {f"steps.{place}.model_id": target.model_id for place, target in enumerate(targets)})
    # Who holds a model holds its sources with it, so they are read only now.
    wanted = {place: target.source_id for place, target in enumerate(targets) if target.source_id is not None}
    served = await references.served_by(session, wanted.values())
    for place, source_id in wanted.items():
        field = f"steps.{place}.source_id"
        if source_id not in served:
            raise DanglingReferenceError(field, "source", source_id)
        if served[source_id] != targets[place].model_id:
            raise WrongSourceError(field, source_id)
