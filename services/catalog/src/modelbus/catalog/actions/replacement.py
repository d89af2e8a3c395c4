"""Replacing: every reference to what goes is rewritten to one thing that stays, each holder as one new version."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle, settle_supplier
from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.successors import claim_successor
from modelbus.catalog.actions.versions import note
from modelbus.catalog.domain.access_keys import AccessKey
from modelbus.catalog.domain.chains import Chain, arrange, redirect
from modelbus.catalog.domain.complexity import ComplexityRouting, LevelModels
from modelbus.catalog.domain.consumers import Consumer
from modelbus.catalog.domain.credentials import Credential
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.references import Departure, Gone, Place, PlaceKind, Replacement, TargetKind, redirected
from modelbus.catalog.domain.routing_errors import WrongReplacementError
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.splits import Split
from modelbus.catalog.domain.splits import redirect as redirect_variants
from modelbus.catalog.domain.strategies import Strategy
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import (
    access_keys,
    chains,
    complexity,
    consumers,
    credentials,
    departures,
    models,
    scopes,
    splits,
    strategies,
)
from modelbus.chassis.ids import new_id

type _Rewrite = Callable[[AsyncSession, UUID, Collection[UUID], Replacement], Awaitable[None]]


async def find_replacement(
    session: AsyncSession, kind: TargetKind, key: UUID, gone: Gone, named: Sequence[Place]
) -> Replacement:
    """Look up what is to take the place of what goes, and keep it from going too until the transaction ends.

    Raises:
        WrongReplacementError: it does not exist, can't serve, goes itself, or is of another type.
    """
    found = await departures.find_substitute(session, kind, key)
    if found is None:
        raise WrongReplacementError(key, f"must be the id of a {_wanted(kind)} that exists")
    if {found.replacement.id, found.replacement.source_id} & gone.all:
        raise WrongReplacementError(key, "must be something that stays")
    if found.reason is not None:
        raise WrongReplacementError(key, f"must be available, and is not: {found.reason}")
    types = await departures.types_of(session, {place.model_id for place in named if place.model_id})
    if found.model_type is not None and types - {found.model_type}:
        raise WrongReplacementError(key, f"must be of type {', '.join(sorted(types))}, and is of {found.model_type}")
    return found.replacement


async def replace_references(
    session: AsyncSession, departure: Departure, gone: Gone, named: Sequence[Place], replacement: Replacement
) -> None:
    """Rewrite the holders of the places that are named; always in the same order, so that no two wait in a ring."""
    holders = sorted({(place.holder_kind, place.holder_id) for place in named if place.kind != PlaceKind.PRICE})
    for kind, holder_id in holders:
        if kind != Model.KIND:
            await _REWRITE[kind](session, holder_id, gone.all, replacement)
    keys = {key for kind, key in holders if kind == Model.KIND}
    if keys:
        await _rewrite_models(session, keys, departure, gone, replacement)


async def _rewrite_chain(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    chain = await chains.lock_chain(session, key)
    targets = redirect(chain.targets, lost, (to.id, to.source_id))
    await save_changed(session, chain, replace(chain, steps=arrange(chain.steps, targets, new_id)))


async def _rewrite_split(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    split, place = await splits.lock_split(session, key), (to.id, to.source_id)
    arms, shadows = redirect_variants(split.arms, lost, place), redirect_variants(split.shadows, lost, place)
    await save_changed(session, split, replace(split, arms=arms, shadows=shadows))


async def _rewrite_complexity(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    routing = await complexity.lock_complexity_routing(session, key)
    levels = tuple(
        LevelModels(served.level, tuple(redirected(list(served.model_ids), lost, to.id))) for served in routing.levels
    )
    classifier = routing.classifier
    if classifier is not None and classifier.judge_model_id in lost:
        classifier = replace(classifier, judge_model_id=to.id)
    await save_changed(session, routing, replace(routing, levels=levels, classifier=classifier))


async def _rewrite_strategy(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    strategy = await strategies.lock_strategy(session, key)
    await save_changed(session, strategy, replace(strategy, model_ids=redirected(strategy.model_ids, lost, to.id)))


async def _rewrite_scope(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    scope = await scopes.lock_scope(session, key)
    changed = replace(
        scope,
        model_ids=redirected(scope.model_ids, lost, to.id),
        default_model_id=to.id if scope.default_model_id in lost else scope.default_model_id,
        strategy_id=to.id if scope.strategy_id in lost else scope.strategy_id,
    )
    await save_changed(session, scope, changed)


async def _rewrite_credential(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    credential = await credentials.lock_credential(session, key)
    model_ids = redirected(credential.model_ids, lost, to.id)
    await save_changed(session, credential, replace(credential, model_ids=model_ids))
    await settle_supplier(session, credential.supplier_id)


async def _rewrite_consumer(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    consumer = await consumers.lock_consumer(session, key)
    await save_changed(session, consumer, _allowed(consumer, lost, to))


async def _rewrite_access_key(session: AsyncSession, key: UUID, lost: Collection[UUID], to: Replacement) -> None:
    access_key = await access_keys.lock_access_key(session, key)
    await save_changed(session, access_key, _allowed(access_key, lost, to))


def _allowed[Holder: (Consumer, AccessKey)](holder: Holder, lost: Collection[UUID], to: Replacement) -> Holder:
    model_ids, scope_ids = (redirected(ids, lost, to.id) for ids in (holder.model_ids, holder.scope_ids))
    return replace(holder, model_ids=model_ids, scope_ids=scope_ids)


async def _rewrite_models(
    session: AsyncSession, keys: set[UUID], departure: Departure, gone: Gone, to: Replacement
) -> None:
    """Name another successor, and hand the default of a type over."""
    await claim_successor(session)
    held = await models.lock_models(session, {*keys, to.id})
    led_to = await models.successors_of(session, to.id)
    was_default = any(model.is_default for model in held.values() if model.id in gone.all)
    changed = {
        key: after
        for key, model in held.items()
        if (after := _rewritten(model, gone, to, led_to, was_default=was_default)) != model
    }
    # What departs becomes its next version only by the departure itself.
    saved = [after if after.id in departure.ids else stamp(after) for after in changed.values()]
    # Who ceases to be the default is saved first, as only one of a type may be it.
    await models.save_models(session, sorted(saved, key=lambda model: model.is_default))
    told = {after.id for after in saved} - departure.ids
    for after in saved:
        if after.id in told:
            note(session, held[after.id], after)
    await settle(session, told, changed_models=told)


def _rewritten(model: Model, gone: Gone, to: Replacement, led_to: Collection[UUID], *, was_default: bool) -> Model:
    if model.id in gone.all:
        return replace(model, is_default=False)
    successor = model.replacement_model_id
    if successor in gone.all:
        # What the one that stays leads to can't lead to it.
        successor = None if model.id in led_to else to.id
    is_default = model.is_default or (was_default and model.id == to.id)
    return replace(model, replacement_model_id=successor, is_default=is_default)


def _wanted(kind: TargetKind) -> str:
    return {TargetKind.STRATEGY: "cost strategy", TargetKind.SCOPE: "scope"}.get(kind, "model or source")


_REWRITE: dict[str, _Rewrite] = {
    Chain.KIND: _rewrite_chain,
    Split.KIND: _rewrite_split,
    ComplexityRouting.KIND: _rewrite_complexity,
    Strategy.KIND: _rewrite_strategy,
    Scope.KIND: _rewrite_scope,
    Credential.KIND: _rewrite_credential,
    Consumer.KIND: _rewrite_consumer,
    AccessKey.KIND: _rewrite_access_key,
}
"""How each kind of holder is rewritten; the ids that are lost go to the one that stays."""
