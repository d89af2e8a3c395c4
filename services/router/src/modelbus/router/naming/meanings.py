"""What a name means: models, or exact sources of them, step by step."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from modelbus.router.cache.records import Model
from modelbus.router.cache.routing import ANY_FAILURE, Chain, Complexity, Shadow, Split, Strategy
from modelbus.router.domain.levels import LEVELS

AUTO = "auto"
SPLIT = "split"


@dataclass(frozen=True, slots=True)
class Step:
    """A model, or one exact source of it, at its place in what was named."""

    model_id: UUID
    source_id: UUID | None = None
    id: UUID | None = None
    """Of a chain: the step's."""
    place: str = ""
    """Where in its holder, in the words of integrity's findings; empty where the caller named the model itself."""
    triggers: tuple[str, ...] = (ANY_FAILURE,)
    """After which failures of the steps before it is tried."""
    protocol: str | None = None
    """How requests of it are spoken; None means like the source."""
    features: Mapping[str, bool] | None = None
    """What requests may use of it, where it differs from the source."""
    variant: str | None = None
    """Of a split: the name of the arm or shadow."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name, or its absence, stands for."""

    kind: str
    """`model`, `alias`, `id`, `chain`, `split`, `complexity`, `strategy`, `scope` or `default`."""
    name: str
    """The public name of what was meant."""
    id: UUID
    steps: tuple[Step, ...] = ()
    holder_kind: str | None = None
    """What refers to the models, if the caller did not name one itself."""
    holder_id: UUID | None = None
    strategy: Strategy | None = None
    """By which the name itself wants its sources to be chosen."""
    is_pool: bool = False
    """The steps are no order: whatever suits best of all of them comes first."""
    complexity: Complexity | None = None
    """Whose levels the steps are taken from, once the request's level is known."""
    level: str | None = None
    split: Split | None = None
    """Whose arms the steps are; the first is drawn for each request."""


def of_model(model: Model, kind: str) -> Meaning:
    """A model by itself."""
    return Meaning(kind, model.name, model.id, (Step(model.id),))


def of_chain(chain: Chain) -> Meaning:
    """A chain's steps, with what each of them overrides."""
    steps = tuple(
        Step(step.model_id, step.source_id, step.id, f"step {number}", step.triggers, step.protocol, step.features)
        for number, step in enumerate(chain.steps, 1)
    )
    return Meaning("chain", chain.name, chain.id, steps, "chain", chain.id)


def of_split(split: Split) -> Meaning:
    """A split's arms, each as one step."""
    steps = tuple(Step(arm.model_id, arm.source_id, place=f"arm '{arm.name}'", variant=arm.name) for arm in split.arms)
    return Meaning(SPLIT, split.name, split.id, steps, SPLIT, split.id, split=split)


def of_shadow(split: Split, shadow: Shadow) -> Meaning:
    """What copies of a split's requests go to."""
    step = Step(shadow.model_id, shadow.source_id, place=f"shadow '{shadow.name}'", variant=shadow.name)
    return Meaning("shadow", split.name, split.id, (step,), SPLIT, split.id)


def of_complexity(complexity: Complexity, name: str) -> Meaning:
    """A complexity routing, whose steps depend on the request's level."""
    return Meaning(
        "complexity", name, complexity.id, holder_kind="complexity", holder_id=complexity.id, complexity=complexity
    )


def at_level(meaning: Meaning, level: str) -> Meaning:
    """Choose the steps for a level: its own models, then those of harder levels, and last those of easier ones."""
    complexity = meaning.complexity
    assert complexity is not None  # noqa: S101 - asked of complexity routings only
    of_level = {each.level: each.model_ids for each in complexity.levels}
    own = LEVELS.index(level) if level in LEVELS else 0
    order = (*LEVELS[own:], *reversed(LEVELS[:own]))
    steps: dict[UUID, Step] = {}
    for each in order:
        for number, model_id in enumerate(of_level.get(each, ()), 1):
            steps.setdefault(model_id, Step(model_id, place=f"level {each}, position {number}"))
    return Meaning(
        meaning.kind,
        meaning.name,
        meaning.id,
        tuple(steps.values()),
        meaning.holder_kind,
        meaning.holder_id,
        complexity=complexity,
        level=LEVELS[own],
    )


def of_default(model: Model) -> Meaning:
    """The default model of a type."""
    step = Step(model.id, place=f"default of type {model.model_type}")
    return Meaning("default", model.name, model.id, (step,), "model", model.id)


def of_scope(scope_id: UUID, name: str, model_id: UUID) -> Meaning:
    """The default model of a scope."""
    return Meaning("scope", name, scope_id, (Step(model_id, place="default"),), "scope", scope_id)


def of_pool(kind: str, strategy: Strategy, holder_id: UUID, model_ids: Iterable[UUID]) -> Meaning:
    """Models of which a strategy takes what suits best."""
    steps = tuple(
        Step(model_id, place=f"position {number}") for number, model_id in enumerate(dict.fromkeys(model_ids), 1)
    )
    return Meaning(kind, strategy.name, strategy.id, steps, kind, holder_id, strategy, is_pool=True)
