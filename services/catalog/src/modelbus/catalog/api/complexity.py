"""Complexity routing over REST."""

from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field, model_validator

from modelbus.catalog.actions import complexity as actions
from modelbus.catalog.api.checks import Checked, CheckedView
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.older_shapes import Compat, beside
from modelbus.catalog.api.references import ReferenceView, Wanted, WarningView, each_once
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.domain.complexity import Classifier, Level, LevelModels
from modelbus.catalog.store import complexity as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(
    prefix="/api/v1/complexity-routing", tags=["complexity routing"], route_class=OnceRoute, dependencies=GUARDS
)

MOST_MODELS = 20
LONGEST_JUDGEMENT_MS = 60_000


class NewLevel(Input):
    """The models that serve requests of one level."""

    level: Level
    model_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_MODELS), AfterValidator(each_once)]
    """The preferred model first."""


def _each_level_once(levels: list[NewLevel]) -> list[NewLevel]:
    each_once([served.level for served in levels])
    return levels


Levels = Annotated[list[NewLevel], Field(min_length=1), AfterValidator(_each_level_once)]


def _growing(thresholds: list[float]) -> list[float]:
    if any(one >= other for one, other in pairwise(thresholds)):
        raise ValueError("must grow from each to the next")
    return thresholds


Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Thresholds = Annotated[
    list[Score], Field(min_length=len(Level) - 1, max_length=len(Level) - 1), AfterValidator(_growing)
]


class ClassifierSettings(Input):
    """How a request's level is found."""

    thresholds: Thresholds
    """The four scores from 0 to 1, growing, at which `easy`, `medium`, `hard` and `expert` begin."""
    is_sticky: bool = True
    """A conversation keeps its level, unless a harder request raises it."""
    judge_model_id: UUID | None = None
    """A model that is asked for the level."""
    judge_timeout_ms: Annotated[int, Field(ge=1, le=LONGEST_JUDGEMENT_MS)] | None = None
    """Without an answer of the judge in that time the local classifier decides; given with a judge, and only then."""

    @model_validator(mode="after")
    def _judged_in_time(self) -> Self:
        if (self.judge_model_id is None) != (self.judge_timeout_ms is None):
            raise ValueError("judge_model_id and judge_timeout_ms must be given together")
        return self

    def classifier(self) -> Classifier:
        """Answer what the settings mean."""
        return Classifier(tuple(self.thresholds), self.is_sticky, self.judge_model_id, self.judge_timeout_ms)


class NewRouting(Input):
    """Which models serve which level of complexity."""

    name: Name
    description: Text | None = None
    is_active: bool = True
    levels: Levels
    """Each level at most once, in any order."""
    classifier: ClassifierSettings | None = None
    """Where left out, the router's own settings hold."""

    def fields(self) -> dict[str, Any]:
        """Answer what the routing is made of."""
        return self.model_dump() | _meant(self)


class RoutingChanges(Changes):
    """Fields to change; levels that are given replace all that there were."""

    name: Name = ""
    description: Text | None = None
    is_active: bool = True
    levels: Levels = Field(default_factory=list)
    classifier: ClassifierSettings | None = None

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        given = super().given()
        return given | {name: value for name, value in _meant(self).items() if name in given}


class LevelView(View):
    """A level, with its models in order of preference."""

    level: str
    models: list[ReferenceView]


class ClassifierView(View):
    """How a request's level is found."""

    thresholds: list[float]
    is_sticky: bool
    judge_model_id: UUID | None
    judge_timeout_ms: int | None


class RoutingView(CheckedView):
    """A complexity routing as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    levels: list[LevelView]
    """The easiest first."""
    classifier: ClassifierView | None
    """Null where the router's own settings hold."""
    warnings: list[WarningView]
    """What of it could not serve right now; places are counted as the levels are shown here."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime
    models: dict[str, list[str]] | None = beside("The names of the models of each level.")


@routes.get("")
async def list_complexity_routings(
    session: Reading, paging: ByName, wanted: Wanted, compat: Compat = None
) -> Page[RoutingView]:
    """List complexity routings, and which of their models could serve right now."""
    page = page_of(RoutingView, await store.list_complexity_routings(session, wanted, paging=paging), paging)
    if compat:
        page.items = [_with_names(shown) for shown in page.items]
    return page


@routes.post("", status_code=201)
async def create_complexity_routing(
    new: NewRouting, session: Transaction, answer: Shown, checked: Checked
) -> RoutingView:
    """Add a complexity routing."""
    routing = await actions.create_complexity_routing(session, new.fields())
    return await _checked(checked, await show_complexity_routing(routing.id, session, answer))


@routes.get("/{routing_id}")
async def show_complexity_routing(
    routing_id: UUID, session: Reading, answer: Shown, compat: Compat = None
) -> RoutingView:
    """Show a complexity routing, and which of its models could serve right now."""
    shown = answer(RoutingView, await store.show_complexity_routing(session, routing_id))
    return _with_names(shown) if compat else shown


@routes.patch("/{routing_id}")
async def change_complexity_routing(
    routing_id: UUID, changes: RoutingChanges, session: Transaction, answer: Shown, checked: Checked
) -> RoutingView:
    """Change some fields of a complexity routing; levels that are given replace all that there were."""
    await actions.change_complexity_routing(session, routing_id, changes.given())
    return await _checked(checked, await show_complexity_routing(routing_id, session, answer))


@routes.put("/{routing_id}")
async def replace_complexity_routing(
    routing_id: UUID, new: NewRouting, session: Transaction, answer: Shown, checked: Checked
) -> RoutingView:
    """Set every field of a complexity routing."""
    await actions.change_complexity_routing(session, routing_id, new.fields())
    return await _checked(checked, await show_complexity_routing(routing_id, session, answer))


@routes.delete("/{routing_id}", status_code=204)
async def delete_complexity_routing(routing_id: UUID, session: Transaction) -> None:
    """Delete a complexity routing."""
    await actions.delete_complexity_routing(session, routing_id)


@routes.post("/{routing_id}/enable")
async def enable_complexity_routing(routing_id: UUID, session: Transaction, answer: Shown) -> RoutingView:
    """Put a complexity routing into service."""
    await actions.change_complexity_routing(session, routing_id, {"is_active": True})
    return await show_complexity_routing(routing_id, session, answer)


@routes.post("/{routing_id}/disable")
async def disable_complexity_routing(routing_id: UUID, session: Transaction, answer: Shown) -> RoutingView:
    """Take a complexity routing out of service."""
    await actions.change_complexity_routing(session, routing_id, {"is_active": False})
    return await show_complexity_routing(routing_id, session, answer)


async def _checked(checked: Checked, routing: RoutingView) -> RoutingView:
    judge = routing.classifier.judge_model_id if routing.classifier else None
    config = {
        "config_type": "complexity",
        "id": str(routing.id),
        "name": routing.name,
        "levels": [
            {"level": level.level, "model_ids": [str(each.model_id) for each in level.models]}
            for level in routing.levels
        ],
        "judge_model_id": None if judge is None else str(judge),
    }
    return await checked(routing, config)


def _meant(given: NewRouting | RoutingChanges) -> dict[str, Any]:
    return {
        "levels": [LevelModels(served.level, tuple(served.model_ids)) for served in given.levels],
        "classifier": None if given.classifier is None else given.classifier.classifier(),
    }


def _with_names(shown: RoutingView) -> RoutingView:
    names = {level.level: [each.model_name for each in level.models] for level in shown.levels}
    return shown.model_copy(update={"models": names})
