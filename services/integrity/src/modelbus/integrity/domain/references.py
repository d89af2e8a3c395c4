"""A reference is a place in a holder that names a target: a chain's step, a level's position, a key's allow-list."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from modelbus.integrity.domain.index import Key
from modelbus.integrity.domain.targets import Model, Source, TargetKind

JUDGE = "judge"
ARM, SHADOW = "arm", "shadow"
REPLACEMENT = "replacement"


class HolderKind(StrEnum):
    """What kind of thing refers."""

    CHAIN = "chain"
    SPLIT = "split"
    COMPLEXITY = "complexity"
    STRATEGY = "strategy"
    SCOPE = "scope"
    MODEL = "model"
    """Refers to itself by its aliases and as the default of its type, and to its replacement."""
    PRICE = "price"
    CONSUMER = "consumer"
    ACCESS_KEY = "access_key"
    CREDENTIAL = "credential"


class Role(StrEnum):
    """What the place is for, which decides the rules that it must keep."""

    FALLBACK = "fallback"
    """Tried in order: a chain's steps, a level's models."""
    CHOICE = "choice"
    """One of a set: a scope's and a strategy's models, a split's arms, allow-lists."""
    NAME = "name"
    """A way by which requests reach a model: an alias, being the default."""
    ADVICE = "advice"
    """Makes something better and is missed by nobody: a judge, a replacement, a split's shadow."""
    PRICE = "price"
    """A price, which names its model."""
    OFFER = "offer"
    """A model itself, which ought to have a price. No reference in an administrator's eyes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """One place of a holder and the target that it names."""

    place_key: str
    """Stays the same when the place moves within the holder: a finding hangs on it."""
    place: str
    """The place for people, for instance `step 2`."""
    serves: str
    """What the place serves: a level, or '' for the whole holder. Places that serve the same replace one another."""
    target_kind: TargetKind
    target_id: UUID
    model_id: UUID
    """The model that would answer: the target itself, or the model of the source that is the target."""
    role: Role


@dataclass(frozen=True, slots=True)
class Holder:
    """Something in the configuration that refers to targets."""

    kind: HolderKind
    id: UUID
    name: str | None
    is_active: bool

    @property
    def key(self) -> Key:
        """Answer kind and id."""
        return self.kind.value, self.id

    @property
    def readable(self) -> str:
        """Name it for people."""
        words = self.kind.value.replace("_", " ")
        return f"{words} '{self.name}'" if self.name else f"{words} {self.id}"


@dataclass(frozen=True, slots=True)
class Place:
    """A reference with all that the rules need to know around it."""

    holder: Holder
    ordinal: int
    """Where the place comes in the holder's order, from 1."""
    reference: Reference
    model: Model
    source: Source | None
    """The exact source; None where the reference names none."""

    @property
    def problem(self) -> str | None:
        """Answer why the place can't serve; None when it can.

        A step that names an exact source needs its model too: a disabled model is not served from any source.
        """
        return (self.source.problem if self.source else None) or self.model.problem

    @property
    def offers(self) -> tuple[Source, ...]:
        """List the sources that could answer here now."""
        if self.problem:
            return ()
        return (self.source,) if self.source else self.model.offers


def references_of_chain(steps: Iterable[tuple[UUID, UUID, UUID | None]]) -> tuple[Reference, ...]:
    """Read a chain's references from its steps: their ids, models, and exact sources where one is named."""
    return _first_of_each(
        Reference(
            place_key=str(step_id),
            place=f"step {number}",
            serves="",
            target_kind=TargetKind.MODEL if source_id is None else TargetKind.SOURCE,
            target_id=source_id or model_id,
            model_id=model_id,
            role=Role.FALLBACK,
        )
        for number, (step_id, model_id, source_id) in enumerate(steps, 1)
    )


def references_of_split(
    arms: Iterable[tuple[str, UUID, UUID | None]], shadows: Iterable[tuple[str, UUID, UUID | None]] = ()
) -> tuple[Reference, ...]:
    """Read a split's references: the names, models, and exact sources of its arms and its shadows."""
    of_arms = [_named_place(ARM, "", Role.CHOICE, *arm) for arm in arms]
    return _first_of_each([*of_arms, *(_named_place(SHADOW, SHADOW, Role.ADVICE, *shadow) for shadow in shadows)])


def references_of_complexity(
    levels: Iterable[tuple[str, Iterable[UUID]]], judge_model_id: UUID | None = None
) -> tuple[Reference, ...]:
    """Read a complexity routing's references from its levels, the models of each, and its judge."""
    positions = [
        _to_model(f"{level}:{model_id}", f"level {level}, position {number}", model_id, Role.FALLBACK, level)
        for level, model_ids in levels
        for number, model_id in enumerate(model_ids, 1)
    ]
    judge = [] if judge_model_id is None else [_to_model(JUDGE, JUDGE, judge_model_id, Role.ADVICE, JUDGE)]
    return _first_of_each([*positions, *judge])


def references_of_set(
    model_ids: Iterable[UUID] | None, default_model_id: UUID | None = None, place: str = "position"
) -> tuple[Reference, ...]:
    """Read the references of a set of models, where None names none, and its default, which need not be one of them."""
    models = [
        _to_model(str(model_id), f"{place} {number}", model_id, Role.CHOICE)
        for number, model_id in enumerate(model_ids or (), 1)
    ]
    default = [] if default_model_id is None else [_to_model("default", "default", default_model_id, Role.CHOICE)]
    return _first_of_each([*models, *default])


def references_of_model(
    model_id: UUID, names: Iterable[str], default_of: str | None, replacement_model_id: UUID | None
) -> tuple[Reference, ...]:
    """Read what a model refers to: itself by other names and as the default of a type, and its replacement."""
    ways = [(f"alias:{name}", f"alias '{name}'") for name in names]
    if default_of is not None:
        ways.append(("default", f"default of type {default_of}"))
    references = [_to_model(key, place, model_id, Role.NAME, key) for key, place in ways]
    if replacement_model_id is not None:
        references.append(_to_model(REPLACEMENT, REPLACEMENT, replacement_model_id, Role.ADVICE, REPLACEMENT))
    return _first_of_each([*references, _to_model("price", "price", model_id, Role.OFFER, "price")])


def references_of_price(model_id: UUID) -> tuple[Reference, ...]:
    """Read a price's reference: the model that it is of."""
    return (_to_model("price", "price", model_id, Role.PRICE),)


def _named_place(what: str, serves: str, role: Role, name: str, model_id: UUID, source_id: UUID | None) -> Reference:
    kind = TargetKind.MODEL if source_id is None else TargetKind.SOURCE
    return Reference(f"{what}:{name}", f"{what} '{name}'", serves, kind, source_id or model_id, model_id, role)


def _to_model(place_key: str, place: str, model_id: UUID, role: Role, serves: str = "") -> Reference:
    return Reference(place_key, place, serves, TargetKind.MODEL, model_id, model_id, role)


def _first_of_each(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Drop a place that repeats an earlier one: it can't serve what the earlier one can't."""
    by_key: dict[str, Reference] = {}
    for reference in references:
        by_key.setdefault(reference.place_key, reference)
    return tuple(by_key.values())
