"""Scopes over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from modelbus.catalog.actions import scopes as actions
from modelbus.catalog.api.checks import Checked, CheckedView
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.references import Breaking, ModelSet, Wanted, WarningView
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, page_of
from modelbus.catalog.store import scopes as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/scopes", tags=["scopes"], route_class=OnceRoute, dependencies=GUARDS)


Domain = Annotated[Name, Field(max_length=64)]
CacheSeconds = Annotated[int, Field(ge=1, le=86_400)]


class NewScope(Input):
    """A business domain with its own set of models."""

    name: Name
    description: Text | None = None
    is_active: bool = True
    model_ids: ModelSet
    default_model_id: UUID | None = None
    """One of the models; it serves requests that name none."""
    domain: Domain | None = None
    """What the scope stands for in the business, in your own words: `tenant`, `module`, `prompt` ..."""
    strategy_id: UUID | None = None
    """The cost strategy by which a source is chosen among its models."""
    response_cache_s: CacheSeconds | None = None
    """For how many seconds the answer to a request that leaves nothing to chance may be given again to the same
    request, without asking a supplier; null for never."""

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
    domain: Domain | None = None
    strategy_id: UUID | None = None
    response_cache_s: CacheSeconds | None = None


class ScopeView(CheckedView):
    """A scope as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    model_ids: list[UUID]
    default_model_id: UUID | None
    domain: str | None
    strategy_id: UUID | None
    response_cache_s: int | None
    warnings: list[WarningView]
    """What of it could not serve right now."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_scopes(
    session: Reading,
    paging: ByName,
    wanted: Wanted,
    domain: Annotated[str | None, Query(max_length=64)] = None,
    strategy_id: UUID | None = None,
) -> Page[ScopeView]:
    """List scopes, and what of them is stale."""
    found = await store.list_scopes(session, wanted, domain=domain, strategy_id=strategy_id, paging=paging)
    return page_of(ScopeView, found, paging)


@routes.post("", status_code=201)
async def create_scope(new: NewScope, session: Transaction, answer: Shown, checked: Checked) -> ScopeView:
    """Add a scope; models of it that can't serve are warned of."""
    scope = await actions.create_scope(session, new.fields())
    return await _checked(checked, await show_scope(scope.id, session, answer))


@routes.get("/{scope_id}")
async def show_scope(scope_id: UUID, session: Reading, answer: Shown) -> ScopeView:
    """Show a scope, and what of it is stale."""
    return answer(ScopeView, await store.show_scope(session, scope_id))


@routes.patch("/{scope_id}")
async def change_scope(
    scope_id: UUID, changes: ScopeChanges, session: Transaction, answer: Shown, breaking: Breaking, checked: Checked
) -> ScopeView:
    """Change some fields of a scope; models that are given replace all that there were."""
    await actions.change_scope(session, scope_id, changes.given(), breaking)
    return await _checked(checked, await show_scope(scope_id, session, answer))


@routes.put("/{scope_id}")
async def replace_scope(
    scope_id: UUID, new: NewScope, session: Transaction, answer: Shown, breaking: Breaking, checked: Checked
) -> ScopeView:
    """Set every field of a scope."""
    await actions.change_scope(session, scope_id, new.fields(), breaking)
    return await _checked(checked, await show_scope(scope_id, session, answer))


@routes.delete("/{scope_id}", status_code=204)
async def delete_scope(scope_id: UUID, session: Transaction, breaking: Breaking) -> None:
    """Delete a scope; refused while a consumer or an access key in service refers to it."""
    await actions.delete_scope(session, scope_id, breaking)


@routes.post("/{scope_id}/enable")
async def enable_scope(scope_id: UUID, session: Transaction, answer: Shown) -> ScopeView:
    """Put a scope into service."""
    await actions.change_scope(session, scope_id, {"is_active": True})
    return await show_scope(scope_id, session, answer)


@routes.post("/{scope_id}/disable")
async def disable_scope(scope_id: UUID, session: Transaction, answer: Shown, breaking: Breaking) -> ScopeView:
    """Take a scope out of service; refused while a consumer or an access key in service refers to it."""
    await actions.change_scope(session, scope_id, {"is_active": False}, breaking)
    return await show_scope(scope_id, session, answer)


async def _checked(checked: Checked, scope: ScopeView) -> ScopeView:
    config = scope.model_dump(mode="json", include={"id", "name", "model_ids", "default_model_id"})
    return await checked(scope, {"config_type": "scope", **config})
