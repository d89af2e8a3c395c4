"""Queries about models."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.models import Model
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import models
from modelbus.catalog.store.tables.models import is_aliased, is_not_retired_yet

_alive = sa.select(models).where(models.c.deleted_at.is_(None))


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
    # Few models have aliases; comparing arrays with arrays would take the square of what a large listing names.
    alias = sa.func.unnest(models.c.aliases, type_=sa.Text).column_valued("alias")
    by_alias = _alive.where(is_aliased, sa.exists().where(rows.among(alias, names)))
    wanted = set(names)
    found = {
        alias: model
        for model in await rows.fetch_all(session, Model, by_alias)
        for alias in wanted.intersection(model.aliases)
    }
    by_name = _alive.where(rows.among(models.c.name, names))
    found.update({model.name: model for model in await rows.fetch_all(session, Model, by_name)})
    return found


async def find_default_model(session: AsyncSession, model_type: str) -> Model | None:
    """Read the default model of a type; None where nobody chose one."""
    return await rows.fetch_one(session, Model, _alive.where(models.c.is_default, models.c.model_type == model_type))


async def successors_of(session: AsyncSession, model_id: UUID) -> set[UUID]:
    """Answer a model with its successor, the successor's own, and so on."""
    led_to = sa.select(sa.literal(model_id, sa.Uuid).label("id")).cte("led_to", recursive=True)
    following = sa.select(models.c.replacement_model_id).where(
        models.c.id == led_to.c.id, models.c.replacement_model_id.is_not(None)
    )
    # UNION and not UNION ALL: it ends even where somebody made a ring past the catalog.
    return set(await session.scalars(sa.select(led_to.union(following).c.id)))


async def list_due_to_retire(session: AsyncSession, now: datetime, *, limit: int) -> list[UUID]:
    """List models whose time has come and that were not judged since, the longest due first."""
    due = sa.select(models.c.id).where(is_not_retired_yet, models.c.retires_at <= now)
    return list(await session.scalars(due.order_by(models.c.retires_at).limit(limit)))


def every_model(session: AsyncSession) -> AsyncIterator[list[Model]]:
    """Read every model, some at a time."""
    return rows.portions(session, Model, _alive, models)


async def insert_models(session: AsyncSession, new: list[Model]) -> None:
    """Add the models."""
    await rows.insert_all(session, models, new)


async def save_models(session: AsyncSession, changed: list[Model]) -> None:
    """Write the models' fields."""
    await rows.update_all(session, models, changed)


def _is(key: UUID | str) -> sa.ColumnElement[bool]:
    return models.c.id == key if isinstance(key, UUID) else models.c.name == key
