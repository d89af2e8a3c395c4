"""Tagging by rule: whatever changes what a rule looks at has it asked again, and the clock asks all of them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.telling import model_record
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.tag_rules import OF_THE_WORLD, InputPriceBelow, Rule, TopByUsage
from modelbus.catalog.domain.tags import World, facts_of, given_by, has_tag, tagged
from modelbus.catalog.store import models, tags, usage
from modelbus.chassis import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.contracts.catalog import ModelChanged

TAGGED_AT_ONCE = 500
SHOWN = 200
"""Models that a preview names; it counts all."""


@dataclass(slots=True)
class Preview:
    """What would come of a rule."""

    matching: int = 0
    """Models to which the rule would give the tag, whatever was done by hand."""
    gaining: int = 0
    losing: int = 0
    gains: list[tags.Taggable] = field(default_factory=list)
    """The first of the models that users would see with the tag, and do not now."""
    loses: list[tags.Taggable] = field(default_factory=list)


async def tag_by_own_rules(session: AsyncSession, drafts: Mapping[UUID, Model]) -> dict[UUID, Model]:
    """Ask the rules that need to know nothing but the model; answer the models as they are then, unsaved.

    What only the clock asks, they keep.
    """
    rules = await tags.rules_in_force(session)
    own = {key: rule for key, rule in rules.items() if not isinstance(rule, OF_THE_WORLD)}
    kept, now = rules.keys() - own.keys(), datetime.now(UTC)
    return {
        key: model if model.deleted_at is not None else tagged(model, given_by(own, facts_of(model), now), kept)
        for key, model in drafts.items()
    }


async def retag(session: AsyncSession, model_ids: Collection[UUID]) -> None:
    """Ask every rule about the models; save and tell those that are tagged otherwise from now on."""
    rules = await tags.rules_in_force(session)
    world, now = await _look_around(session, rules.values()), datetime.now(UTC)
    for some in batched(sorted(model_ids), TAGGED_AT_ONCE):
        held = await models.lock_models(session, some)
        alive = [model for model in held.values() if model.deleted_at is None]
        retagged = [tagged(model, given_by(rules, facts_of(model, world), now)) for model in alive]
        changed = [model for model in retagged if model != held[model.id]]
        await models.save_models(session, changed)
        for model in changed:
            if model.effective_tag_ids != held[model.id].effective_tag_ids:
                await outbox.record(session, ModelChanged.to(model_record(model)))


async def retag_priced(session: AsyncSession, model_ids: Collection[UUID]) -> None:
    """Ask again about models that are charged otherwise from now on, where some rule looks at that."""
    rules = await tags.rules_in_force(session) if model_ids else {}
    if any(isinstance(rule, InputPriceBelow) for rule in rules.values()):
        await retag(session, model_ids)


async def retag_all(session: AsyncSession) -> None:
    """Ask every rule about every model, in the transaction that changed a rule."""
    await retag(session, await _differing(session))


async def tend_tags(database: Database) -> None:
    """Ask every rule about every model; only what differs is locked and written, some at a time."""
    async with database.reading() as session:
        differing = await _differing(session)
    for some in batched(differing, TAGGED_AT_ONCE):
        async with database.transaction(Caller.system("tags")) as session:
            await retag(session, some)


async def preview_rule(session: AsyncSession, tag_id: UUID, rule: Rule | None) -> Preview:
    """Find whom the rule would give the tag, and who would lose it."""
    world, now = await _look_around(session, [] if rule is None else [rule]), datetime.now(UTC)
    found = Preview()
    async for some in tags.every_taggable(session):
        for model in some:
            is_given = rule is not None and rule.gives(facts_of(model, world), now)
            before = has_tag(model, tag_id, by_rule=tag_id in model.rule_tag_ids)
            after = has_tag(model, tag_id, by_rule=is_given)
            found.matching += is_given
            found.gaining += after and not before
            found.losing += before and not after
            if after != before and len(changing := found.gains if after else found.loses) < SHOWN:
                changing.append(model)
    return found


async def _differing(session: AsyncSession) -> list[UUID]:
    """Answer the models that the rules would tag otherwise than they are, in order of id."""
    rules = await tags.rules_in_force(session)
    world, now = await _look_around(session, rules.values()), datetime.now(UTC)
    return [
        model.id
        async for some in tags.every_taggable(session)
        for model in some
        if given_by(rules, facts_of(model, world), now) != model.rule_tag_ids
    ]


async def _look_around(session: AsyncSession, rules: Iterable[Rule] | Collection[Rule]) -> World:
    """Find out what the rules ask about that models do not say of themselves."""
    counts: dict[int, int] = {}
    asked = list(rules)
    for rule in asked:
        if isinstance(rule, TopByUsage):
            counts[rule.days] = max(rule.count, counts.get(rule.days, 0))
    today = datetime.now(UTC).date()
    places = {
        days: {
            model_id: place
            for place, model_id in enumerate(
                await usage.most_used(session, today=today, days=days, count=count), start=1
            )
        }
        for days, count in counts.items()
    }
    needs_prices = any(isinstance(rule, InputPriceBelow) for rule in asked)
    return World(await tags.input_prices(session) if needs_prices else {}, places)
