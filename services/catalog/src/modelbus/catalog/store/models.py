"""Queries about models."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.models import Model
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import models, sources

_alive = sa.select(models).where(models.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class ModelFilter:
    """What a list of models is narrowed to; None leaves it open."""

    search: str | None = None
    """Part of the name or display name, in any case."""
    supplier_id: UUID | None = None
    model_type: str | None = None
    is_available: bool | None = None
    is_active: bool | None = None


async def get_model(session: AsyncSession, key: UUID | str) -> Model:
    """Read a model by id or public name.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    model = await rows.fetch_one(session, Model, _alive.where(_is(key)))
    if model is None:
        raise NotFoundError("model", key)
    return model


async def lock_models(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Model]:
    """Read models, deleted ones too, and hold them; always in order of id, so that no two holders wait in a ring."""
    query = sa.select(models).where(rows.among(models.c.id, ids)).order_by(models.c.id).with_for_update()
    return {model.id: model for model in await rows.fetch_all(session, Model, query)}


async def find_models(session: AsyncSession, names: Collection[str]) -> dict[str, Model]:
    """Look models up by public name or alias; a name goes before an alias."""
    by_alias = _alive.where(models.c.aliases.overlap(sa.cast(list(names), models.c.aliases.type)))
    found = {
        alias: model
        for model in await rows.fetch_all(session, Model, by_alias)
        for alias in model.aliases
        if alias in names
    }
    by_name = _alive.where(rows.among(models.c.name, names))
    found.update({model.name: model for model in await rows.fetch_all(session, Model, by_name)})
    return found


async def list_models(session: AsyncSession, wanted: ModelFilter, *, paging: Paging) -> list[Model]:
    """List models one more than the page holds."""
    return await rows.fetch_all(session, Model, page(_alive.where(*_criteria(wanted)), models, paging))


async def count_models(session: AsyncSession, wanted: ModelFilter) -> int:
    """Count the models that the filter lets through."""
    living = sa.select(sa.func.count()).select_from(models).where(models.c.deleted_at.is_(None))
    return await session.scalar(living.where(*_criteria(wanted))) or 0


async def every_model(session: AsyncSession) -> list[Model]:
    """Read every model for the snapshot."""
    return await rows.fetch_all(session, Model, _alive.order_by(models.c.id))


async def insert_models(session: AsyncSession, new: list[Model]) -> None:
    """Add the models."""
    await rows.insert_all(session, models, new)


async def save_models(session: AsyncSession, changed: list[Model]) -> None:
    """Write the models' fields."""
    await rows.update_all(session, models, changed)


def _is(key: UUID | str) -> sa.ColumnElement[bool]:
    return models.c.id == key if isinstance(key, UUID) else models.c.name == key


def _criteria(wanted: ModelFilter) -> list[sa.ColumnElement[bool]]:
    criteria: list[sa.ColumnElement[bool]] = []
    if wanted.search is not None:
        criteria.append(
            models.c.name.icontains(wanted.search, autoescape=True)
            | models.c.display_name.icontains(wanted.search, autoescape=True)
        )
    if wanted.supplier_id is not None:
        offered = sa.select(sources.c.model_id).where(
            sources.c.supplier_id == wanted.supplier_id, sources.c.deleted_at.is_(None)
        )
        criteria.append(models.c.id.in_(offered))
    for name in ("model_type", "is_available", "is_active"):
        value = getattr(wanted, name)
        if value is not None:
            criteria.append(models.c[name] == value)
    return criteria
