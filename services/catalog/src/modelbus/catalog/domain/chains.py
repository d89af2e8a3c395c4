"""A chain is an ordered list of fallback steps under a name that callers use like a model's."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.errors import AlreadyExistsError, NotFoundError, WrongStepsError
from modelbus.catalog.domain.routing_errors import ChainFullError, LastStepError

LONGEST_CHAIN = 50


class Trigger(StrEnum):
    """After which failures of the steps before it a step is tried."""

    ANY = "any"
    RATE_LIMIT = "rate_limit"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    TIMEOUT = "timeout"


class ChainOrigin(StrEnum):
    """Who decides on the steps of a chain."""

    ADMINISTRATOR = "administrator"
    DEFAULT = "default"
    """It was built from what was available, and building again brings it up to date."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a step goes to, a model by whatever source or by one exact source, and how."""

    model_id: UUID
    source_id: UUID | None = None
    triggers: tuple[Trigger, ...] = (Trigger.ANY,)
    protocol: str | None = None
    """How its requests are spoken; None means like the source."""
    features: dict[str, bool] | None = field(default=None, hash=False)
    """What requests may use of it: capability name to whether they may; others are as the source says."""

    @property
    def place(self) -> tuple[UUID, UUID | None]:
        """The model and source that it names; a chain goes to each at most once."""
        return self.model_id, self.source_id


@dataclass(frozen=True, slots=True)
class Step:
    """One target in its place of a chain; the id stays with the model and source wherever they move within it."""

    id: UUID
    target: Target


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps that are tried one after another."""

    KIND: ClassVar[str] = "chain"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    description: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    steps: tuple[Step, ...] = ()
    version: int = 1
    origin: str = ChainOrigin.ADMINISTRATOR

    @property
    def targets(self) -> list[Target]:
        """What the steps go to, in order."""
        return [step.target for step in self.steps]

    def reorder(self, step_ids: Sequence[UUID]) -> "Chain":
        """Put the steps into another order.

        Raises:
            WrongStepsError: the ids are not exactly those of the present steps.
        """
        present = {step.id: step for step in self.steps}
        if len(step_ids) != len(present) or set(step_ids) != present.keys():
            raise WrongStepsError(self.id)
        return replace(self, steps=tuple(present[step_id] for step_id in step_ids))

    def place_of(self, step_id: UUID) -> int:
        """Answer where the step is, from 0.

        Raises:
            NotFoundError: the chain has no such step.
        """
        for place, step in enumerate(self.steps):
            if step.id == step_id:
                return place
        raise NotFoundError("step", step_id)

    def without(self, step_id: UUID) -> list[Target]:
        """Answer the targets of all steps but one.

        Raises:
            NotFoundError: the chain has no such step.
            LastStepError: it has no other.
        """
        place = self.place_of(step_id)
        if len(self.steps) == 1:
            raise LastStepError(self.id)
        return [*self.targets[:place], *self.targets[place + 1 :]]


def insert(targets: Sequence[Target], new: Target, position: int | None) -> list[Target]:
    """Answer the targets with one more at that position, at the end where there are not so many.

    Raises:
        AlreadyExistsError: one of them goes to the same model and source.
        ChainFullError: a chain does not hold so many.
    """
    if new.place in {target.place for target in targets}:
        field_name = "source_id" if new.source_id else "model_id"
        raise AlreadyExistsError("step of this chain", field_name, str(new.source_id or new.model_id))
    if len(targets) >= LONGEST_CHAIN:
        raise ChainFullError(LONGEST_CHAIN)
    at = len(targets) if position is None else position
    return [*targets[:at], new, *targets[at:]]


def redirect(targets: Sequence[Target], lost: Collection[UUID], place: tuple[UUID, UUID | None]) -> list[Target]:
    """Answer the targets with another model and source in the place of those that are lost.

    Where that is in the chain already, the first of the two stays, after whichever failures called for either. How
    requests were spoken to what is lost says nothing of what comes in its place.
    """
    model_id, source_id = place
    found: dict[tuple[UUID, UUID | None], Target] = {}
    for target in targets:
        if target.model_id in lost or target.source_id in lost:
            target = replace(target, model_id=model_id, source_id=source_id, protocol=None)  # noqa: PLW2901
        known = found.setdefault(target.place, target)
        found[target.place] = replace(known, triggers=either(known.triggers, target.triggers))
    return list(found.values())


def either(one: Sequence[Trigger], other: Sequence[Trigger]) -> tuple[Trigger, ...]:
    """Answer the triggers of both; `any` stands for all of them."""
    both = tuple(trigger for trigger in Trigger if trigger in {*one, *other})
    return (Trigger.ANY,) if Trigger.ANY in both else both


def arrange(present: Sequence[Step], wanted: Sequence[Target], make_id: Callable[[], UUID]) -> tuple[Step, ...]:
    """Make the wanted steps; a place that is there already keeps its step's id, so that references to it stay true."""
    known = {step.target.place: step.id for step in present}
    return tuple(Step(known.get(target.place) or make_id(), target) for target in wanted)
