"""The selector: what one caller may use now, by tag and by type, and nothing of who supplies it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.permissions import Permissions


@dataclass(frozen=True, slots=True)
class HeldCapability:
    """As `contracts.records.ModelCapabilityRecord`."""

    capability_id: UUID
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HeldModel:
    """What the selector reads of `contracts.records.ModelRecord`."""

    id: UUID
    name: str
    aliases: list[str]
    display_name: str
    custom_name: str | None
    description: str | None
    model_type: str
    sub_type: str | None
    context_window: int | None
    max_output_tokens: int | None
    knowledge_cutoff: date | None
    lifecycle: str
    retires_at: datetime | None
    tier: str
    is_available: bool
    is_featured: bool
    is_default: bool
    capabilities: list[HeldCapability]
    tag_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class HeldLabel:
    """What the selector reads of a capability's or a tag's record."""

    id: UUID
    name: str
    display_name: str
    color: str | None = None
    position: int = 0
    description: str | None = None


@dataclass(frozen=True, slots=True)
class HeldStep:
    """What the selector reads of `contracts.routing.ChainStepRecord`."""

    model_id: UUID
    source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class HeldChain:
    """What the selector reads of `contracts.routing.ChainRecord`."""

    id: UUID
    name: str
    is_active: bool
    steps: list[HeldStep]
    description: str | None = None


@dataclass(frozen=True, slots=True)
class HeldScope:
    """What the selector reads of `contracts.routing.ScopeRecord`."""

    id: UUID
    name: str
    is_active: bool
    model_ids: list[UUID]
    default_model_id: UUID | None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What is charged: USD per million tokens, per request or per image; None is not known."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    request: Decimal | None = None
    image: Decimal | None = None


@dataclass(frozen=True, slots=True)
class HeldPrice:
    """What the selector reads of `contracts.records.PriceRecord`."""

    id: UUID
    model_id: UUID
    charge: Charge


@dataclass(frozen=True, slots=True)
class ChoiceCapability:
    """A capability of a model."""

    name: str
    display_name: str
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """A model that may be used."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    model_type: str
    sub_type: str | None
    context_window: int | None
    max_output_tokens: int | None
    knowledge_cutoff: date | None
    lifecycle: str
    retires_at: datetime | None
    tier: str
    is_featured: bool
    is_default: bool
    capabilities: list[ChoiceCapability]
    tags: list[str]
    price: Charge | None


@dataclass(frozen=True, slots=True)
class Stock:
    """All that there is to choose from, at one revision."""

    models: Mapping[UUID, HeldModel]
    choices: Mapping[UUID, Choice]
    """Every model that is available, as it is shown, in the order in which users see them."""
    tags: Mapping[UUID, HeldLabel]
    chains: Mapping[UUID, HeldChain]
    scopes: Mapping[UUID, HeldScope]
    serving_sources: frozenset[UUID]
    """Of the sources that steps of chains name, those that are available."""


@dataclass(frozen=True, slots=True)
class TagGroup:
    """The models with a tag."""

    id: UUID
    name: str
    display_name: str
    color: str | None
    description: str | None
    model_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class TypeGroup:
    """The models of a type."""

    model_type: str
    default_model_id: UUID | None
    model_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class ChainChoice:
    """A chain that may be named like a model, and of which something could serve."""

    name: str
    description: str | None


@dataclass(frozen=True, slots=True)
class ScopeChoice:
    """A scope that may be named."""

    name: str
    description: str | None
    default_model_id: UUID | None
    model_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class Selection:
    """What may be used now."""

    models: list[Choice] = field(default_factory=list)
    by_tag: list[TagGroup] = field(default_factory=list)
    by_type: list[TypeGroup] = field(default_factory=list)
    chains: list[ChainChoice] = field(default_factory=list)
    scopes: list[ScopeChoice] = field(default_factory=list)


def choice_of(
    model: HeldModel, tags: Mapping[UUID, HeldLabel], capabilities: Mapping[UUID, HeldLabel], price: Charge | None
) -> Choice:
    """Answer a model as it is shown, whoever sees it."""
    had = [(capabilities.get(each.capability_id), each.config) for each in model.capabilities]
    return Choice(
        id=model.id,
        name=model.name,
        display_name=model.custom_name or model.display_name,
        description=model.description,
        model_type=model.model_type,
        sub_type=model.sub_type,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        knowledge_cutoff=model.knowledge_cutoff,
        lifecycle=model.lifecycle,
        retires_at=model.retires_at,
        tier=model.tier,
        is_featured=model.is_featured,
        is_default=model.is_default,
        capabilities=[ChoiceCapability(each.name, each.display_name, config) for each, config in had if each],
        tags=[each.name for each in _in_order(tags[each] for each in model.tag_ids if each in tags)],
        price=price,
    )


def in_order(choices: Iterable[Choice]) -> dict[UUID, Choice]:
    """Put models in the order in which users see them: featured ones first, then by display name."""
    arranged = sorted(choices, key=lambda each: (not each.is_featured, each.display_name.lower(), each.name))
    return {each.id: each for each in arranged}


def select(stock: Stock, permissions: Permissions) -> Selection:
    """Choose what the caller may use now."""
    within = None if permissions.within is None else {*stock.scopes[permissions.within].model_ids}
    permitted = [each for each in stock.choices.values() if permissions.permit_model(each.id, each.tier)]
    usable = {each.id for each in permitted}
    shown = [each for each in permitted if within is None or each.id in within]
    return Selection(
        models=shown,
        by_tag=_by_tag(stock, shown),
        by_type=_by_type(shown),
        chains=_chains(stock, usable) if within is None else [],
        scopes=_scopes(stock, permissions, usable),
    )


def _by_tag(stock: Stock, shown: list[Choice]) -> list[TagGroup]:
    grouped = _grouped(shown, lambda each: stock.models[each.id].tag_ids)
    known = _in_order(stock.tags[each] for each in grouped if each in stock.tags)
    return [
        TagGroup(each.id, each.name, each.display_name, each.color, each.description, grouped[each.id])
        for each in known
    ]


def _by_type(shown: list[Choice]) -> list[TypeGroup]:
    default = {each.model_type: each.id for each in shown if each.is_default}
    grouped = _grouped(shown, lambda each: [each.model_type])
    return [TypeGroup(each, default.get(each), grouped[each]) for each in sorted(grouped)]


def _chains(stock: Stock, usable: set[UUID]) -> list[ChainChoice]:
    """Answer chains with a step that could serve; as routers do, only steps whose model is permitted count."""
    taken = {name for each in stock.models.values() for name in (each.name, *each.aliases)}

    def could_serve(step: HeldStep) -> bool:
        return step.model_id in usable and (step.source_id is None or step.source_id in stock.serving_sources)

    named = [each for each in stock.chains.values() if each.is_active and each.name not in taken]
    serving = [each for each in named if any(could_serve(step) for step in each.steps)]
    return [ChainChoice(each.name, each.description) for each in sorted(serving, key=lambda each: each.name)]


def _scopes(stock: Stock, permissions: Permissions, usable: set[UUID]) -> list[ScopeChoice]:
    named = sorted(
        (each for each in stock.scopes.values() if each.is_active and permissions.permit_scope(each.id)),
        key=lambda one: one.name,
    )
    return [
        ScopeChoice(
            each.name,
            each.description,
            each.default_model_id if each.default_model_id in usable else None,
            [model_id for model_id in each.model_ids if model_id in usable],
        )
        for each in named
    ]


def _grouped[K](shown: list[Choice], keys: Callable[[Choice], Iterable[K]]) -> dict[K, list[UUID]]:
    grouped: dict[K, list[UUID]] = {}
    for model in shown:
        for key in keys(model):
            grouped.setdefault(key, []).append(model.id)
    return grouped


def _in_order(tags: Iterable[HeldLabel]) -> list[HeldLabel]:
    return sorted(tags, key=lambda each: (each.position, each.name))
