"""A tag is a label that users see; models have it by hand or by rule, and what was done by hand goes first."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Protocol
from uuid import UUID

from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.tag_rules import Facts, Rule


@dataclass(frozen=True, slots=True)
class Tag:
    """A label, and the rule by which models get it without anybody's hand."""

    KIND: ClassVar[str] = "tag"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    display_name: str
    description: str | None
    color: str | None
    position: int
    """Order in which users see tags."""
    rule: dict[str, Any] | None
    """As `domain.tag_rules.written` writes it; None means only by hand."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1


class Given(StrEnum):
    """How a model stands to a tag."""

    BY_HAND = "by_hand"
    BY_RULE = "by_rule"
    TAKEN_AWAY = "taken_away"


type Rules = Mapping[UUID, Rule]
"""The rules of tags, by the tags' ids."""


class Labelled(Protocol):
    """What of a model rules look at; a whole model, or less of it."""

    @property
    def id(self) -> UUID: ...  # noqa: D102 - a field
    @property
    def name(self) -> str: ...  # noqa: D102 - a field
    @property
    def model_type(self) -> str: ...  # noqa: D102 - a field
    @property
    def context_window(self) -> int | None: ...  # noqa: D102 - a field
    @property
    def created_at(self) -> datetime: ...  # noqa: D102 - a field
    @property
    def capabilities(self) -> dict[str, Any]: ...  # noqa: D102 - a field


class Standing(Protocol):
    """What was decided by hand about the tags of a model; a whole model, or less of it."""

    @property
    def tag_ids(self) -> list[UUID]: ...  # noqa: D102 - a field
    @property
    def untagged_ids(self) -> list[UUID]: ...  # noqa: D102 - a field


@dataclass(frozen=True, slots=True)
class World:
    """What rules ask about that models do not say of themselves."""

    input_prices: Mapping[UUID, Decimal] = field(default_factory=dict)
    """By model, what consumers are charged now, USD per million tokens."""
    usage_places: Mapping[int, Mapping[UUID, int]] = field(default_factory=dict)
    """By days looked back upon, the place of each of the most used models, 1 for the most."""


NOTHING_KNOWN = World()


def facts_of(model: Labelled, world: World = NOTHING_KNOWN) -> Facts:
    """Put together what the rules look at."""
    return Facts(
        name=model.name,
        model_type=model.model_type,
        context_window=model.context_window,
        first_seen_at=model.created_at,
        capability_ids=frozenset(map(UUID, model.capabilities)),
        input_price=world.input_prices.get(model.id),
        usage_places={days: places[model.id] for days, places in world.usage_places.items() if model.id in places},
    )


def has_tag(model: Standing, tag_id: UUID, *, by_rule: bool) -> bool:
    """Tell whether users see the tag, if rules do or do not give it: what was done by hand goes first."""
    return tag_id in model.tag_ids or (by_rule and tag_id not in model.untagged_ids)


def with_tag(model: Model, tag_id: UUID) -> Model:
    """Give a tag by hand."""
    return replace(model, tag_ids=_with(model.tag_ids, tag_id), untagged_ids=_without(model.untagged_ids, tag_id))


def without_tag(model: Model, tag_id: UUID, *, has_rule: bool) -> Model:
    """Take a tag away; where it has a rule, that is remembered, so that the rule does not give it again."""
    untagged = _with(model.untagged_ids, tag_id) if has_rule else model.untagged_ids
    return replace(model, tag_ids=_without(model.tag_ids, tag_id), untagged_ids=untagged)


def left_to_rules(model: Model, tag_id: UUID) -> Model:
    """Forget what was done about a tag by hand."""
    return replace(model, tag_ids=_without(model.tag_ids, tag_id), untagged_ids=_without(model.untagged_ids, tag_id))


def forgotten(model: Model, tag_id: UUID) -> Model:
    """Leave nothing of a tag that is deleted."""
    return replace(left_to_rules(model, tag_id), rule_tag_ids=_without(model.rule_tag_ids, tag_id))


def given_by(rules: Rules, facts: Facts, now: datetime) -> list[UUID]:
    """Answer the tags that the rules give to a model, whatever was done by hand."""
    return sorted(tag_id for tag_id, rule in rules.items() if rule.gives(facts, now))


def tagged(model: Model, given: Iterable[UUID], kept: Collection[UUID] = ()) -> Model:
    """Answer the model with what the rules give it; of those that were not asked, `kept`, it keeps what it has."""
    wanted = sorted({*given, *(each for each in model.rule_tag_ids if each in kept)})
    return model if wanted == model.rule_tag_ids else replace(model, rule_tag_ids=wanted)


def _with(ids: list[UUID], tag_id: UUID) -> list[UUID]:
    return ids if tag_id in ids else [*ids, tag_id]


def _without(ids: list[UUID], tag_id: UUID) -> list[UUID]:
    return [each for each in ids if each != tag_id]
