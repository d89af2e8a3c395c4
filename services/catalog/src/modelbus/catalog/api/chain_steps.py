"""Steps of fallback chains, as they come over REST and as they are shown."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from modelbus.catalog.api.references import ReferenceView, each_once
from modelbus.catalog.api.views import Changes, Input, Name
from modelbus.catalog.domain.chains import LONGEST_CHAIN, Target, Trigger, either
from modelbus.catalog.domain.suppliers import Protocol

MOST_FEATURES = 50

Triggers = Annotated[list[Trigger], Field(min_length=1), AfterValidator(each_once)]
Features = Annotated[dict[Name, bool], Field(max_length=MOST_FEATURES)]
Position = Annotated[int, Field(ge=0, lt=LONGEST_CHAIN)]


class NewStep(Input):
    """A model, or one exact source of it."""

    model_id: UUID
    source_id: UUID | None = None
    """A source of that model; where left out, any source of it may serve."""
    triggers: Triggers = Field(default_factory=lambda: [Trigger.ANY])
    """After which failures of the steps before it this one is tried; `any` covers the others."""
    protocol: Protocol | None = None
    """How its requests are spoken; where left out, like the source."""
    features: Features | None = None
    """What requests may use of it: capability name to whether they may; others are as the source says."""

    def target(self) -> Target:
        """Answer what the step goes to, and how."""
        return Target(self.model_id, self.source_id, either(self.triggers, ()), self.protocol, self.features)


def _each_place_once(steps: list[NewStep]) -> list[NewStep]:
    each_once([step.model_id if step.source_id is None else step.source_id for step in steps])
    return steps


Steps = Annotated[list[NewStep], Field(min_length=1, max_length=LONGEST_CHAIN), AfterValidator(_each_place_once)]


class AddedStep(NewStep):
    """One more step of a chain."""

    position: Position | None = None
    """0 is tried first; where left out, it is tried last."""


class StepChanges(Changes):
    """Fields of one step to change; one that is given another model or source becomes another step."""

    model_id: UUID = UUID(int=0)
    """Another model; its source has to be named anew."""
    source_id: UUID | None = None
    triggers: Triggers = Field(default_factory=list)
    protocol: Protocol | None = None
    features: Features | None = None
    position: Position = 0
    """Where to move it; 0 is tried first."""

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        given = super().given()
        return {**given, "triggers": either(self.triggers, ())} if "triggers" in given else given


class StepView(ReferenceView):
    """A step, and whether it could serve right now."""

    id: UUID
    """Stays with the model and source, wherever they move within the chain."""
    position: int
    """0 is tried first."""
    source_id: UUID | None
    """Null where any source of the model may serve."""
    triggers: list[str]
    """After which failures of the steps before it is tried."""
    protocol: str | None
    features: dict[str, bool] | None


def targets_of(steps: list[NewStep]) -> list[Target]:
    """Answer what the steps go to, in their order."""
    return [step.target() for step in steps]
