"""A chain is an ordered list of fallback steps under a name that callers use like a model's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.errors import WrongStepsError


@dataclass(frozen=True, slots=True)
class Target:
    """What a step goes to: a model by whatever source, or by one exact source."""

    model_id: UUID
    source_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One target in its place of a chain; the id stays with the target wherever that moves within the chain."""

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

    def reorder(self, step_ids: Sequence[UUID]) -> "Chain":
        """Put the steps into another order.

        Raises:
            WrongStepsError: the ids are not exactly those of the present steps.
        """
        present = {step.id: step for step in self.steps}
        if len(step_ids) != len(present) or set(step_ids) != present.keys():
            raise WrongStepsError(self.id)
        return replace(self, steps=tuple(present[step_id] for step_id in step_ids))


def arrange(present: Sequence[Step], wanted: Sequence[Target], make_id: Callable[[], UUID]) -> tuple[Step, ...]:
    """Make the wanted steps; a target that is there already keeps its step's id, so that references to it stay true."""
    known = {step.target: step.id for step in present}
    return tuple(Step(known.get(target) or make_id(), target) for target in wanted)
