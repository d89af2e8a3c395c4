"""What can be done with scopes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.errors import AlreadyExistsError, DanglingReferenceError
from modelbus.catalog.domain.references import NO_CONSENT, Consent, Departure, TargetKind
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import scopes, strategies
from modelbus.chassis.ids import new_id


async def create_scope(session: AsyncSession, fields: dict[str, Any]) -> Scope:
    """Add a scope.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: one of its models does not exist, or its strategy does not.
        DefaultOutsideScopeError: the default model is none of its models.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    scope = Scope(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None).checked()
    await _hold_targets(session, fields)
    await scopes.insert_scope(session, scope)
    await keep(session, None, scope)
    return scope


async def change_scope(
    session: AsyncSession, scope_id: UUID, fields: dict[str, Any], consent: Consent = NO_CONSENT
) -> Scope:
    """Change the given fields; a change that changes nothing tells nothing.

    Raises:
        StillReferencedError: it goes out of service, and something refers to it.
    """
    # The targets before the scope, as who replaces one everywhere takes them.
    await _hold_targets(session, fields)
    scope = await scopes.lock_scope(session, scope_id)
    expect(session, scope)
    if fields.get("name", scope.name) != scope.name:
        await _refuse_taken_name(session, fields["name"])
    changed = replace(scope, **fields).checked()
    if scope.is_active and not changed.is_active:
        await impact.refuse_breaking(session, Departure.disabling(TargetKind.SCOPE, scope_id), consent)
    return await save_changed(session, scope, changed)


async def delete_scope(session: AsyncSession, scope_id: UUID, consent: Consent = NO_CONSENT) -> None:
    """Take the scope out of the catalog; its name may be used again.

    Raises:
        StillReferencedError: something refers to it.
    """
    scope = await scopes.lock_scope(session, scope_id)
    expect(session, scope)
    await impact.refuse_breaking(session, Departure.deleting(TargetKind.SCOPE, scope_id), consent)
    gone = stamp(replace(scope, deleted_at=datetime.now(UTC)))
    await scopes.save_scope(session, gone)
    await keep(session, scope, None)


async def _hold_targets(session: AsyncSession, fields: dict[str, Any]) -> None:
    await hold_models(session, each_of("model_ids", fields.get("model_ids", [])))
    strategy_id: UUID | None = fields.get("strategy_id")
    if strategy_id is not None and not await strategies.hold_strategy(session, strategy_id):
        raise DanglingReferenceError("strategy_id", "cost strategy", strategy_id)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await scopes.find_scope(session, name) is not None:
        raise AlreadyExistsError("scope", "name", name)
