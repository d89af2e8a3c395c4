"""Queries about scopes and their models."""

from dataclasses import dataclass, field, replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, StaleModels, notices_of, notices_of_models
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.references import HolderFilter
from modelbus.catalog.store.tables import models, scope_models, scopes, strategies

_places = (
    sa.select(scope_models.c.model_id)
    .where(scope_models.c.scope_id == scopes.c.id)
    .order_by(scope_models.c.position)
    .scalar_subquery()
)
_alive = sa.select(scopes, sa.func.array(_places, type_=ARRAY(sa.Uuid)).label("model_ids")).where(
    scopes.c.deleted_at.is_(None)
)


@dataclass(frozen=True, slots=True)
class ScopeRow(Scope):
    """A scope, and what of it is stale right now."""

    strategy_name: str | None = None
    strategy_reason: str | None = None
    """Why its strategy is not in service; None while it is, and where it has none."""
    warnings: list[Notice] = field(default_factory=list)

    def judged(self, stale: StaleModels) -> "ScopeRow":
        """Answer it with its warnings."""
        found = notices_of_models(self.model_ids, stale)
        if self.default_model_id is not None and self.default_model_id in stale:
            found += notices_of([("default_model_id", *stale[self.default_model_id])])
        if self.strategy_name is not None and self.strategy_reason is not None:
            found += notices_of([("strategy_id", self.strategy_name, self.strategy_reason)])
        return replace(self, warnings=found)


_shown = _alive.add_columns(
    strategies.c.name.label("strategy_name"),
    sa.case((strategies.c.deleted_at.is_not(None), "deleted"), (~strategies.c.is_active, "disabled")).label(
        "strategy_reason"
    ),
).outerjoin_from(scopes, strategies, strategies.c.id == scopes.c.strategy_id)

_stale = scope_models.join(models, models.c.id == scope_models.c.model_id)
_has_stale = sa.exists(
    sa.select(1)
    .select_from(_stale)
    .where(scope_models.c.scope_id == scopes.c.id, ~models.c.is_available)
    .correlate(scopes)
)


def _refers_to(model_id: UUID) -> sa.ColumnElement[bool]:
    return sa.exists().where(scope_models.c.scope_id == scopes.c.id, scope_models.c.model_id == model_id)


async def show_scope(session: AsyncSession, scope_id: UUID) -> ScopeRow:
    """Read a scope as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, ScopeRow, _shown.where(scopes.c.id == scope_id))
    if found is None:
        raise NotFoundError("scope", scope_id)
    return found.judged(await references.stale_among(session, found.model_ids))


async def list_scopes(
    session: AsyncSession, wanted: HolderFilter, *, domain: str | None, strategy_id: UUID | None, paging: Paging
) -> list[ScopeRow]:
    """List scopes as they stand right now, one more than the page holds."""
    query = references.narrowed(_shown, scopes, wanted, refers_to=_refers_to, has_stale=_has_stale)
    if domain is not None:
        query = query.where(scopes.c.domain == domain)
    if strategy_id is not None:
        query = query.where(scopes.c.strategy_id == strategy_id)
    found = await rows.fetch_all(session, ScopeRow, page(query, scopes, paging))
    stale = await references.stale_among(session, {model_id for scope in found for model_id in scope.model_ids})
    return [scope.judged(stale) for scope in found]


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
