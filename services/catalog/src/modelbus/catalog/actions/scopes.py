"""What can be done with scopes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import scopes
from modelbus.chassis.ids import new_id


async def create_scope(session: AsyncSession, fields: dict[str, Any]) -> Scope:
    """Add a scope.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: one of its models does not exist.
        DefaultOutsideScopeError: the default model is none of its models.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    scope = Scope(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None).checked()
    await hold_models(session, each_of("model_ids", scope.model_ids))
    await scopes.insert_scope(session, scope)
    await keep(session, None, scope)
    return scope


async def change_scope(session: AsyncSession, scope_id: UUID, fields: dict[str, Any]) -> Scope:
    """Change the given fields; a change that changes nothing tells nothing."""
    scope = await scopes.lock_scope(session, scope_id)
    expect(session, scope)
    if fields.get("name", scope.name) != scope.name:
        await _refuse_taken_name(session, fields["name"])
    await hold_models(session, each_of("model_ids", fields.get("model_ids", [])))
    if replace(scope, **fields) == scope:
        return scope
    changed = stamp(replace(scope, **fields)).checked()
    await scopes.save_scope(session, changed)
    if changed.model_ids != scope.model_ids:
        await scopes.save_models(session, changed)
    await keep(session, scope, changed)
    return changed


async def delete_scope(session: AsyncSession, scope_id: UUID) -> None:
    """Take the scope out of the catalog; its name may be used again."""
    scope = await scopes.lock_scope(session, scope_id)
    expect(session, scope)
    gone = stamp(replace(scope, deleted_at=datetime.now(UTC)))
    await scopes.save_scope(session, gone)
    await keep(session, scope, None)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await scopes.find_scope(session, name) is not None:
        raise AlreadyExistsError("scope", "name", name)
