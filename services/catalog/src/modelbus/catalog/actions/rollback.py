"""Rollback: a thing becomes again what an earlier version of it says, as a new version."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from functools import cache
from typing import Any, get_type_hints
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.default_models import claim_default, take_default
from modelbus.catalog.actions.holders import bring_back, save_changed
from modelbus.catalog.actions.names import claim_names
from modelbus.catalog.actions.prices import restore_price
from modelbus.catalog.actions.successors import claim_successor, refuse_ring
from modelbus.catalog.actions.suppliers import change_supplier
from modelbus.catalog.actions.versions import document, expect, note
from modelbus.catalog.domain.chains import Chain
from modelbus.catalog.domain.complexity import ComplexityRouting
from modelbus.catalog.domain.consumers import Consumer
from modelbus.catalog.domain.documents import Reference, references_of
from modelbus.catalog.domain.errors import AlreadyExistsError, NotFoundError
from modelbus.catalog.domain.history_errors import (
    RollbackRefersToDeletedError,
    RollbackToDeletionError,
    VersionUnreadableError,
)
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.prices import Schedule
from modelbus.catalog.domain.references import Consent, Departure, TargetKind
from modelbus.catalog.domain.routing_errors import OnlyStaleStepsError
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.splits import Split
from modelbus.catalog.domain.strategies import Strategy
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.domain.things import LIFE, Thing, stamp
from modelbus.catalog.store import (
    chains,
    complexity,
    consumers,
    history,
    models,
    references,
    scopes,
    splits,
    strategies,
    suppliers,
    things,
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a thing is to become again."""

    kind: str
    thing_id: UUID
    number: int
    wanted: dict[str, Any]
    """The document of that version."""
    consent: Consent
    """What the caller says of references that would break."""


async def roll_back(session: AsyncSession, kind: str, thing_id: UUID, number: int, consent: Consent) -> Thing:
    """Make a thing what version `number` of it says; one that was deleted comes back.

    What the version did not know, as the field came later, takes its default. Going back to the present changes
    nothing. Everything is checked and told as if somebody made the change by hand.

    Raises:
        NotFoundError: there is no such thing or version.
        RollbackToDeletionError: the version is the deletion.
        RollbackRefersToDeletedError: the version names something that was deleted meanwhile.
        AlreadyExistsError: the version's name belongs to another thing by now.
        VersionUnreadableError: a field of the version can't be read as what it is now.
        WrongSuccessorError: the successor that the version names leads back to the model by now.
    """
    _version, wanted = await history.get_version(session, kind, thing_id, number)
    if wanted is None:
        raise RollbackToDeletionError(number)
    goal = Goal(kind, thing_id, number, wanted, consent)
    # The name first, then what is named, then the thing itself: the order in which a change by hand takes them.
    await _claim_name(session, goal)
    if kind == Model.KIND:
        await claim_default(session)
        await claim_successor(session)
    await _hold_references(session, goal)
    return await RESTORE[kind](session, goal)


async def _restore_holder(session: AsyncSession, goal: Goal) -> Thing:
    """Restore what refers to models: its row, and the places of its own tables."""
    row = await things.lock_thing(session, goal.kind, goal.thing_id)
    if row.is_deleted:
        await things.revive(session, goal.kind, goal.thing_id, goal.wanted["name"])
    present = await _GET[goal.kind](session, goal.thing_id)
    expect(session, present)
    after = _reverted(present, goal)
    if isinstance(after, Chain):
        await _refuse_stale_steps(session, after, goal.consent)
    if row.is_deleted:
        return await bring_back(session, after)
    if document(after) == document(present):
        return present
    await _refuse_breaking(session, present, after, goal.consent)
    return await save_changed(session, present, after)


async def _restore_model(session: AsyncSession, goal: Goal) -> Thing:
    # One statement for all of them, in order of id as everybody takes models.
    named = {each.id for each in references_of(goal.wanted) if each.kind == Model.KIND}
    present = (await models.lock_models(session, {goal.thing_id, *named})).get(goal.thing_id)
    if present is None:
        raise NotFoundError(Model.KIND, goal.thing_id)
    expect(session, present)
    after = replace(_reverted(present, goal), deleted_at=None)
    is_back = present.deleted_at is not None
    if not is_back and document(after) == document(present):
        return present
    if after.replacement_model_id is not None:
        await refuse_ring(session, after.replacement_model_id, [present])
    if not is_back:
        await _refuse_breaking(session, present, after, goal.consent)
        # What took its place may have taken over more than references.
        after = _reverted(await models.get_model(session, goal.thing_id), goal)
    if after.is_default and not (present.is_default and present.model_type == after.model_type):
        await take_default(session, after.model_type)
    after = stamp(after)
    await models.save_models(session, [after])
    note(session, None if is_back else present, after)
    await settle(session, [after.id], changed_models=[after.id])
    return await models.get_model(session, after.id)


async def _restore_supplier(session: AsyncSession, goal: Goal) -> Thing:
    present = await suppliers.get_supplier(session, goal.thing_id)
    wanted = _reverted(present, goal)
    configured = [each.name for each in fields(wanted) if each.name not in LIFE | Supplier.UNVERSIONED | {"id"}]
    given = {name: getattr(wanted, name) for name in configured}
    return await change_supplier(session, goal.thing_id, given, goal.consent)


async def _restore_price(session: AsyncSession, goal: Goal) -> Thing:
    return await restore_price(session, goal.thing_id, goal.wanted)


async def _claim_name(session: AsyncSession, goal: Goal) -> None:
    name: str | None = goal.wanted.get("name")
    if name is None:
        return
    if goal.kind in {Model.KIND, Chain.KIND, Split.KIND}:
        await claim_names(session, [name, *goal.wanted.get("aliases", ())], holder=goal.thing_id)
    elif await things.is_name_taken(session, goal.kind, name, but=goal.thing_id):
        raise AlreadyExistsError(goal.kind, "name", name)


async def _hold_references(session: AsyncSession, goal: Goal) -> None:
    """Hold whatever the version names, and refuse it where some of that is no more, or no longer fits together."""
    named = list(references_of(goal.wanted))
    broken: list[tuple[Reference, str | None, str]] = []
    for kind in [kind for kind in things.TABLES if kind in {each.kind for each in named}]:
        of_kind = [each for each in named if each.kind == kind]
        held = await things.hold_things(session, kind, {each.id for each in of_kind})
        for each in of_kind:
            row = held.get(each.id)
            if row is None or row.is_deleted:
                broken.append((each, None if row is None else row.name, "was deleted"))
    if not broken and goal.kind in {Chain.KIND, Split.KIND}:
        broken = await _moved_sources(session, named)
    if broken:
        raise RollbackRefersToDeletedError(goal.number, broken)


async def _moved_sources(session: AsyncSession, named: list[Reference]) -> list[tuple[Reference, str | None, str]]:
    """Find places whose source serves another model by now: a listing may have moved it."""
    models_of = {each.field: each.id for each in named if each.kind == Model.KIND}
    places = [each for each in named if each.kind == "source"]
    served = await references.served_by(session, [each.id for each in places])
    return [
        (place, None, "serves another model by now")
        for place in places
        if served.get(place.id) != models_of[place.field.replace("source_id", "model_id")]
    ]


async def _refuse_stale_steps(session: AsyncSession, chain: Chain, consent: Consent) -> None:
    if not consent.force and not await references.is_any_available(session, [each.place for each in chain.targets]):
        raise OnlyStaleStepsError


async def _refuse_breaking(session: AsyncSession, before: Thing, after: Thing, consent: Consent) -> None:
    """Refuse to take out of service what others refer to, unless the caller says what to do about it."""
    goes = getattr(before, "is_active", False) and not getattr(after, "is_active", False)
    if goes and before.KIND in set(TargetKind):
        await impact.refuse_breaking(session, Departure.disabling(TargetKind(before.KIND), before.id), consent)


def _reverted[T: Thing](present: T, goal: Goal) -> T:
    """Answer the thing with the configuration of the version; what is no configuration stays as it is."""
    kind = type(present)
    try:
        values = {
            name: msgspec.convert(goal.wanted[name], hint)
            for name, (hint, _default) in _configured(kind).items()
            if name in goal.wanted
        }
    except msgspec.ValidationError as error:
        raise VersionUnreadableError(goal.number, str(error)) from error
    defaults = {name: make() for name, (_hint, make) in _configured(kind).items() if make is not None}
    return replace(present, **{**defaults, **values})  # type: ignore[type-var]


@cache
def _configured(kind: type[Any]) -> Mapping[str, tuple[Any, Callable[[], Any] | None]]:
    """Answer the type, and what makes the default, of each field that is configuration."""
    hints = get_type_hints(kind)
    return {
        field.name: (hints[field.name], _default_of(field))
        for field in fields(kind)
        if field.name not in LIFE | kind.UNVERSIONED | {"id"}
    }


def _default_of(field: Field[Any]) -> Callable[[], Any] | None:
    if field.default_factory is not MISSING:
        return field.default_factory
    return None if field.default is MISSING else lambda: field.default


_GET: dict[str, Callable[[AsyncSession, UUID], Awaitable[Thing]]] = {
    Chain.KIND: chains.get_chain,
    Split.KIND: splits.get_split,
    ComplexityRouting.KIND: complexity.lock_complexity_routing,
    Strategy.KIND: strategies.get_strategy,
    Scope.KIND: scopes.get_scope,
    Consumer.KIND: consumers.get_consumer,
}
"""How holders are read, whole."""

RESTORE: dict[str, Callable[[AsyncSession, Goal], Awaitable[Thing]]] = {
    Supplier.KIND: _restore_supplier,
    Model.KIND: _restore_model,
    Schedule.KIND: _restore_price,
    **dict.fromkeys(_GET, _restore_holder),
}
"""How each kind that can be rolled back is."""
