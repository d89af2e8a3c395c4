"""Complexity routing over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field

from modelbus.catalog.actions import complexity as actions
from modelbus.catalog.api.references import ReferenceView, each_once
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.domain.complexity import Level, LevelModels
from modelbus.catalog.store import complexity as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.service import Reading, Transaction

routes = APIRouter(prefix="/api/v1/complexity-routing", tags=["complexity routing"], route_class=OnceRoute)

MOST_MODELS = 20


class NewLevel(Input):
    """The models that serve requests of one level."""

    level: Level
    model_ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_MODELS), AfterValidator(each_once)]
    """The preferred model first."""


def _each_level_once(levels: list[NewLevel]) -> list[NewLevel]:
    each_once([served.level for served in levels])
    return levels


Levels = Annotated[list[NewLevel], Field(min_length=1), AfterValidator(_each_level_once)]


class NewRouting(Input):
    """Which models serve which level of complexity."""

    name: Name
    description: Text | None = None
    is_active: bool = True
    levels: Levels
    """Each level at most once, in any order."""

    def fields(self) -> dict[str, Any]:
        """Answer what the routing is made of."""
        return {**self.model_dump(), "levels": _level_models(self.levels)}


class RoutingChanges(Changes):
    """Fields to change; levels that are given replace all that there were."""

    name: Name = ""
    description: Text | None = None
    is_active: bool = True
    levels: Levels = Field(default_factory=list)

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        given = super().given()
        return {**given, "levels": _level_models(self.levels)} if "levels" in given else given


class LevelView(View):
    """A level, with its models in order of preference."""

    level: str
    models: list[ReferenceView]


class RoutingView(View):
    """A complexity routing as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    levels: list[LevelView]
    """The easiest first."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_complexity_routings(session: Reading, paging: ByName, name: str | None = None) -> Page[RoutingView]:
    """List complexity routings in order of creation."""
    return page_of(RoutingView, await store.list_complexity_routings(session, name=name, paging=paging), paging)


@routes.post("", status_code=201)
async def create_complexity_routing(new: NewRouting, session: Transaction, answer: Shown) -> RoutingView:
    """Add a complexity routing."""
    routing = await actions.create_complexity_routing(session, new.fields())
    return await show_complexity_routing(routing.id, session, answer)


@routes.get("/{routing_id}")
async def show_complexity_routing(routing_id: UUID, session: Reading, answer: Shown) -> RoutingView:
    """Show a complexity routing, and which of its models could serve right now."""
    return answer(RoutingView, await store.show_complexity_routing(session, routing_id))


@routes.patch("/{routing_id}")
async def change_complexity_routing(
    routing_id: UUID, changes: RoutingChanges, session: Transaction, answer: Shown
) -> RoutingView:
    """Change some fields of a complexity routing; levels that are given replace all that there were."""
    await actions.change_complexity_routing(session, routing_id, changes.given())
    return await show_complexity_routing(routing_id, session, answer)


@routes.put("/{routing_id}")
async def replace_complexity_routing(
    routing_id: UUID, new: NewRouting, session: Transaction, answer: Shown
) -> RoutingView:
    """Set every field of a complexity routing."""
    await actions.change_complexity_routing(session, routing_id, new.fields())
    return await show_complexity_routing(routing_id, session, answer)


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


def _level_models(levels: list[NewLevel]) -> list[LevelModels]:
    return [LevelModels(served.level, tuple(served.model_ids)) for served in levels]
