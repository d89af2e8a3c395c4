"""Building the default chains from what is available: made where missing, brought up to date, taken from nobody."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.names import lock_names
from modelbus.catalog.actions.versions import keep
from modelbus.catalog.domain.chains import Chain, ChainOrigin, Target, arrange
from modelbus.catalog.domain.default_chains import DefaultChain, build
from modelbus.catalog.store import chains, models, offers, references, splits
from modelbus.chassis.ids import new_id


class Outcome(StrEnum):
    """What building does, or did, about one chain."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    KEPT = "kept"
    """Somebody has decided on a chain of that name, which stays as it is."""
    NAME_TAKEN = "name_taken"
    """A model, an alias of one, or a split has the name."""
    LEFT = "left"
    """Nothing that is available fills it any more; it stays as it was built before."""


@dataclass(frozen=True, slots=True)
class Built:
    """One chain, with what came of it."""

    name: str
    outcome: Outcome
    chain_id: UUID | None
    """None where there is no such chain, or none yet."""
    model_ids: tuple[UUID, ...]
    """Of its steps, in order."""


async def build_default_chains(session: AsyncSession, *, dry_run: bool) -> list[Built]:
    """Build the chains for every purpose that something available serves, or only tell what building would do."""
    if not dry_run:
        await lock_names(session)
    wanted = await _wanted(session, hold=not dry_run)
    present = {chain.name: chain for chain in await chains.default_chains(session, wanted, lock=not dry_run)}
    taken = {*await models.find_models(session, list(wanted)), *await splits.taken_names(session, wanted)}
    built: list[Built] = []
    for name in sorted({*wanted, *present}):
        planned = _planned(name, wanted.get(name), present.get(name), taken)
        built.append(planned if dry_run else await _done(session, planned, wanted.get(name), present.get(name)))
    return built


async def _wanted(session: AsyncSession, *, hold: bool) -> dict[str, DefaultChain]:
    while True:
        wanted = build(await offers.available_offers(session))
        named = {model_id for chain in wanted for model_id in chain.model_ids}
        # One that was deleted between reading and holding it is not built upon.
        if not hold or await references.hold_models(session, named) == named:
            return {chain.name: chain for chain in wanted}


def _planned(name: str, wanted: DefaultChain | None, present: Chain | None, taken: Collection[str]) -> Built:
    if present is not None and (wanted is None or present.origin != ChainOrigin.DEFAULT):
        is_ours = present.origin == ChainOrigin.DEFAULT
        model_ids = tuple(target.model_id for target in present.targets)
        return Built(name, Outcome.LEFT if is_ours else Outcome.KEPT, present.id, model_ids)
    assert wanted is not None  # noqa: S101 - a name is that of one of the two
    if present is None:
        return Built(name, Outcome.NAME_TAKEN if name in taken else Outcome.CREATED, None, wanted.model_ids)
    is_same = present.targets == _targets(wanted)
    return Built(name, Outcome.UNCHANGED if is_same else Outcome.CHANGED, present.id, wanted.model_ids)


async def _done(session: AsyncSession, planned: Built, wanted: DefaultChain | None, present: Chain | None) -> Built:
    if planned.outcome == Outcome.CREATED and wanted is not None:
        chain = await _create(session, wanted)
        return replace(planned, chain_id=chain.id)
    if planned.outcome == Outcome.CHANGED and wanted is not None and present is not None:
        steps = arrange(present.steps, _targets(wanted), new_id)
        await save_changed(session, present, replace(present, steps=steps))
    return planned


async def _create(session: AsyncSession, wanted: DefaultChain) -> Chain:
    now = datetime.now(UTC)
    chain = Chain(
        id=new_id(),
        name=wanted.name,
        description=wanted.description,
        is_active=True,
        created_at=now,
        updated_at=now,
        deleted_at=None,
        steps=arrange((), _targets(wanted), new_id),
        origin=ChainOrigin.DEFAULT,
    )
    await chains.insert_chain(session, chain)
    await keep(session, None, chain)
    return chain


def _targets(wanted: DefaultChain) -> list[Target]:
    return [Target(model_id) for model_id in wanted.model_ids]
