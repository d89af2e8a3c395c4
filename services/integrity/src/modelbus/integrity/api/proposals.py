"""Validation of what is not saved yet, as administrators and the catalog ask for it."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.ids import new_id
from modelbus.chassis.transactions import Reading
from modelbus.integrity.actions.proposals import judge_proposal
from modelbus.integrity.api.validations import FaultView, ValidationView
from modelbus.integrity.domain.proposals import Named, Proposal
from modelbus.integrity.domain.references import (
    Holder,
    HolderKind,
    references_of_chain,
    references_of_complexity,
    references_of_price,
    references_of_set,
    references_of_split,
)
from modelbus.integrity.domain.targets import Rates, TargetKind

PATH = "/api/v1/validate/proposal"
MOST_PLACES = 1000
Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
ModelIds = Annotated[list[UUID], Field(max_length=MOST_PLACES)]
Amount = Annotated[Decimal, Field(ge=0, lt=1_000_000_000, allow_inf_nan=False)]

routes = APIRouter(tags=["validation"])


class _Proposed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(default_factory=new_id)
    """Of what would be changed; findings of something new bear an id that stands for nothing."""
    name: Text | None = None

    def _holder(self, kind: HolderKind) -> Holder:
        return Holder(kind, self.id, self.name, is_active=True)


class ProposedStep(BaseModel):
    """A step that a chain would have."""

    model_config = ConfigDict(extra="forbid")

    id: UUID = Field(default_factory=new_id)
    model_id: UUID
    source_id: UUID | None = None


class ProposedChain(_Proposed):
    """A fallback chain as it would be."""

    config_type: Literal["fallback"]
    steps: Annotated[list[ProposedStep], Field(min_length=1, max_length=MOST_PLACES)]

    def proposal(self) -> Proposal:
        """Answer what it would refer to."""
        named = _models((f"steps.{at}.model_id", step.model_id) for at, step in enumerate(self.steps))
        for at, step in enumerate(self.steps):
            if step.source_id is not None:
                named[f"steps.{at}.source_id"] = Named(TargetKind.SOURCE, step.source_id, step.model_id)
        references = references_of_chain((step.id, step.model_id, step.source_id) for step in self.steps)
        return Proposal(self._holder(HolderKind.CHAIN), references, named)


class ProposedArm(BaseModel):
    """An arm or a shadow that a split would have."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    model_id: UUID
    source_id: UUID | None = None


class ProposedSplit(_Proposed):
    """A split as it would be."""

    config_type: Literal["split"]
    arms: Annotated[list[ProposedArm], Field(min_length=1, max_length=MOST_PLACES)]
    shadows: Annotated[list[ProposedArm], Field(max_length=MOST_PLACES)] = []

    def proposal(self) -> Proposal:
        """Answer what it would refer to."""
        places = {f"arms.{at}": arm for at, arm in enumerate(self.arms)}
        places |= {f"shadows.{at}": shadow for at, shadow in enumerate(self.shadows)}
        named = _models((f"{path}.model_id", place.model_id) for path, place in places.items())
        for path, place in places.items():
            if place.source_id is not None:
                named[f"{path}.source_id"] = Named(TargetKind.SOURCE, place.source_id, place.model_id)
        arms, shadows = (
            [(place.name, place.model_id, place.source_id) for place in some] for some in (self.arms, self.shadows)
        )
        return Proposal(self._holder(HolderKind.SPLIT), references_of_split(arms, shadows), named)


class ProposedLevel(BaseModel):
    """A level that a complexity routing would have."""

    model_config = ConfigDict(extra="forbid")

    level: Text
    model_ids: ModelIds


class ProposedRouting(_Proposed):
    """A complexity routing as it would be."""

    config_type: Literal["complexity"]
    levels: Annotated[list[ProposedLevel], Field(min_length=1, max_length=20)]
    judge_model_id: UUID | None = None

    def proposal(self) -> Proposal:
        """Answer what it would refer to."""
        named = _models(
            (f"levels.{row}.model_ids.{at}", model_id)
            for row, level in enumerate(self.levels)
            for at, model_id in enumerate(level.model_ids)
        )
        if self.judge_model_id is not None:
            named["judge_model_id"] = Named(TargetKind.MODEL, self.judge_model_id)
        references = references_of_complexity(
            ((level.level, level.model_ids) for level in self.levels), self.judge_model_id
        )
        return Proposal(self._holder(HolderKind.COMPLEXITY), references, named)


class ProposedStrategy(_Proposed):
    """A cost strategy as it would be."""

    config_type: Literal["strategy"]
    model_ids: ModelIds | None
    """Null means every model, which names none."""

    def proposal(self) -> Proposal:
        """Answer what it would refer to."""
        return Proposal(
            self._holder(HolderKind.STRATEGY), references_of_set(self.model_ids), _models(_set(self.model_ids or ()))
        )


class ProposedScope(_Proposed):
    """A scope as it would be."""

    config_type: Literal["scope"]
    model_ids: Annotated[ModelIds, Field(min_length=1)]
    default_model_id: UUID | None = None

    def proposal(self) -> Proposal:
        """Answer what it would refer to."""
        named = _models(_set(self.model_ids))
        if self.default_model_id is not None:
            named["default_model_id"] = Named(TargetKind.MODEL, self.default_model_id)
        references = references_of_set(self.model_ids, self.default_model_id)
        return Proposal(self._holder(HolderKind.SCOPE), references, named)


class ProposedPrice(BaseModel):
    """What a model would be charged, in USD per million tokens."""

    model_config = ConfigDict(extra="forbid")

    config_type: Literal["pricing"]
    model_id: UUID
    input: Amount | None = None
    output: Amount | None = None

    def proposal(self) -> Proposal:
        """Answer what it would refer to."""
        holder = Holder(HolderKind.PRICE, self.model_id, None, is_active=True)
        named = {"model_id": Named(TargetKind.MODEL, self.model_id)}
        return Proposal(holder, references_of_price(self.model_id), named, Rates(self.input, self.output))


def _models(fields: Iterable[tuple[str, UUID]]) -> dict[str, Named]:
    return {field: Named(TargetKind.MODEL, model_id) for field, model_id in fields}


def _set(model_ids: Iterable[UUID]) -> Iterator[tuple[str, UUID]]:
    return ((f"model_ids.{at}", model_id) for at, model_id in enumerate(model_ids))


class ProposalRequest(BaseModel):
    """What to judge before it is saved."""

    model_config = ConfigDict(extra="forbid")

    proposed: Annotated[
        ProposedChain | ProposedSplit | ProposedRouting | ProposedStrategy | ProposedScope | ProposedPrice,
        Field(discriminator="config_type"),
    ]
    allow_missing: bool = False
    """Judge what does not exist as deleted, instead of refusing the proposal."""


@routes.post(PATH)
async def validate_proposal(session: Reading, asked: ProposalRequest) -> ValidationView:
    """Judge a configuration as if it were saved and in service; nothing is changed.

    The rules are those that open findings. Refused where it names what does not exist, with each such field.
    """
    validation = await judge_proposal(session, asked.proposed.proposal(), allows_missing=asked.allow_missing)
    return ValidationView(
        config_type=asked.proposed.config_type,
        revision=validation.revision,
        checked=validation.checked,
        findings=[FaultView.of(fault) for fault in validation.faults],
    )
