"""Scopes over REST."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from modelbus.catalog.actions import scopes as actions
from modelbus.catalog.api.references import ModelSet
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.store import scopes as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.service import Reading, Transaction

routes = APIRouter(prefix="/api/v1/scopes", tags=["scopes"], route_class=OnceRoute)


class NewScope(Input):
    """A business domain with its own set of models."""

    name: Name
    description: Text | None = None
    is_active: bool = True
    model_ids: ModelSet
    default_model_id: UUID | None = None
    """One of the models; it serves requests that name none."""

    def fields(self) -> dict[str, Any]:
        """Answer what the scope is made of."""
        return self.model_dump()


class ScopeChanges(Changes):
    """Fields to change; models that are given replace all that there were."""

    name: Name = ""
    description: Text | None = None
    is_active: bool = True
    model_ids: ModelSet = Field(default_factory=list)
    default_model_id: UUID | None = None


class ScopeView(View):
    """A scope as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    model_ids: list[UUID]
    default_model_id: UUID | None
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_scopes(session: Reading, paging: ByName, name: str | None = None) -> Page[ScopeView]:
    """List scopes in order of creation."""
    return page_of(ScopeView, await store.list_scopes(session, name=name, paging=paging), paging)


@routes.post("", status_code=201)
async def create_scope(new: NewScope, session: Transaction, answer: Shown) -> ScopeView:
    """Add a scope."""
    return answer(ScopeView, await actions.create_scope(session, new.fields()))


@routes.get("/{scope_id}")
async def show_scope(scope_id: UUID, session: Reading, answer: Shown) -> ScopeView:
    """Show a scope."""
    return answer(ScopeView, await store.get_scope(session, scope_id))


@routes.patch("/{scope_id}")
async def change_scope(scope_id: UUID, changes: ScopeChanges, session: Transaction, answer: Shown) -> ScopeView:
    """Change some fields of a scope; models that are given replace all that there were."""
    return answer(ScopeView, await actions.change_scope(session, scope_id, changes.given()))


@routes.put("/{scope_id}")
async def replace_scope(scope_id: UUID, new: NewScope, session: Transaction, answer: Shown) -> ScopeView:
    """Set every field of a scope."""
    return answer(ScopeView, await actions.change_scope(session, scope_id, new.fields()))


@routes.delete("/{scope_id}", status_code=204)
async def delete_scope(scope_id: UUID, session: Transaction) -> None:
    """Delete a scope."""
    await actions.delete_scope(session, scope_id)


@routes.post("/{scope_id}/enable")
async def enable_scope(scope_id: UUID, session: Transaction, answer: Shown) -> ScopeView:
    """Put a scope into service."""
    return answer(ScopeView, await actions.change_scope(session, scope_id, {"is_active": True}))


@routes.post("/{scope_id}/disable")
async def disable_scope(scope_id: UUID, session: Transaction, answer: Shown) -> ScopeView:
    """Take a scope out of service."""
    return answer(ScopeView, await actions.change_scope(session, scope_id, {"is_active": False}))
