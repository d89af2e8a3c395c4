"""A reference is a place in a holder that names a target: a chain's step, a level's position, a scope's default."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from modelbus.integrity.domain.index import Known
from modelbus.integrity.domain.targets import TargetKind


class HolderKind(StrEnum):
    """What kind of thing refers."""

    CHAIN = "chain"
    COMPLEXITY = "complexity"
    SCOPE = "scope"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder(Known):
    """Something in the configuration that refers to targets."""

    kind: HolderKind
    name: str | None
    is_active: bool
    references: tuple[Reference, ...]
    """In the holder's order."""


@dataclass(frozen=True, slots=True)
class Place:
    """A reference with all that the rules need to know around it."""

    holder_id: UUID
    holder_kind: HolderKind
    holder_name: str | None
    holder_is_active: bool
    ordinal: int
    """Where the place comes in the holder's order, from 1."""
    reference: Reference
    model_name: str | None
    model_problem: str | None
    """Why the model is not available; None while it is."""
    source_problem: str | None
    """Why the source is not available; None while it is, and where the reference names none."""


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
        )
        for number, (step_id, model_id, source_id) in enumerate(steps, 1)
    )


def references_of_complexity(levels: Iterable[tuple[str, Iterable[UUID]]]) -> tuple[Reference, ...]:
    """Read a complexity routing's references from its levels and the models of each."""
    return _first_of_each(
        _to_model(f"{level}:{model_id}", f"level {level}, position {number}", model_id, serves=level)
        for level, model_ids in levels
        for number, model_id in enumerate(model_ids, 1)
    )


def references_of_scope(model_ids: Iterable[UUID], default_model_id: UUID | None) -> tuple[Reference, ...]:
    """Read a scope's references: its models, and its default, which may or may not be one of them."""
    models = [_to_model(str(model_id), f"position {number}", model_id) for number, model_id in enumerate(model_ids, 1)]
    default = [] if default_model_id is None else [_to_model("default", "default", default_model_id)]
    return _first_of_each([*models, *default])


def _to_model(place_key: str, place: str, model_id: UUID, serves: str = "") -> Reference:
    return Reference(place_key, place, serves, TargetKind.MODEL, model_id, model_id)


def _first_of_each(references: Iterable[Reference]) -> tuple[Reference, ...]:
    """Drop a place that repeats an earlier one: it can't serve what the earlier one can't."""
    by_key: dict[str, Reference] = {}
    for reference in references:
        by_key.setdefault(reference.place_key, reference)
    return tuple(by_key.values())
