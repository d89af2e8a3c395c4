"""Queries about scopes and their models."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import scope_models, scopes

_places = (
    sa.select(scope_models.c.model_id)
    .where(scope_models.c.scope_id == scopes.c.id)
    .order_by(scope_models.c.position)
    .scalar_subquery()
)
_alive = sa.select(scopes, sa.func.array(_places, type_=ARRAY(sa.Uuid)).label("model_ids")).where(
    scopes.c.deleted_at.is_(None)
)


async def get_scope(session: AsyncSession, scope_id: UUID) -> Scope:
    """Read a scope.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    scope = await rows.fetch_one(session, Scope, _alive.where(scopes.c.id == scope_id))
    if scope is None:
        raise NotFoundError("scope", scope_id)
    return scope


async def lock_scope(session: AsyncSession, scope_id: UUID) -> Scope:
    """Read a scope and keep others from changing it until the transaction ends."""
    await references.lock_holder(session, scopes, scope_id)
    return await get_scope(session, scope_id)


async def find_scope(session: AsyncSession, name: str) -> Scope | None:
    """Look a scope up by name."""
    return await rows.fetch_one(session, Scope, _alive.where(scopes.c.name == name))


async def list_scopes(session: AsyncSession, *, name: str | None, paging: Paging) -> list[Scope]:
    """List scopes one more than the page holds."""
    query = _alive if name is None else _alive.where(scopes.c.name == name)
    return await rows.fetch_all(session, Scope, page(query, scopes, paging))


async def every_scope(session: AsyncSession) -> list[Scope]:
    """Read every scope for the snapshot."""
    return await rows.fetch_all(session, Scope, _alive.order_by(scopes.c.id))


async def insert_scope(session: AsyncSession, scope: Scope) -> None:
    """Add the scope with its models."""
    await references.insert_holder(session, scopes, scope)
    await save_models(session, scope)


async def save_scope(session: AsyncSession, scope: Scope) -> None:
    """Write the scope's fields, its models left as they are."""
    await references.save_holder(session, scopes, scope)


async def save_models(session: AsyncSession, scope: Scope) -> None:
    """Write the scope's models in place of those that it had."""
    places = [{"position": position, "model_id": model_id} for position, model_id in enumerate(scope.model_ids)]
    await references.replace_places(session, scope_models.c.scope_id, scope.id, places)
