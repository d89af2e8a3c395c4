"""Queries about categories, and which models are in them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.categories import Category, Tree
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import categories, models

_alive = sa.select(categories).where(categories.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class CategoryFilter:
    """What a list of categories is narrowed to; None leaves it open."""

    name: str | None = None
    search: str | None = None
    """Part of the name, display name or description, in any case."""
    parent_id: UUID | None = None
    is_root: bool | None = None


@dataclass(frozen=True, slots=True)
class CountedCategory(Category):
    """A category with how many models are in it."""

    models: int = 0
    """In the category itself."""
    models_below: int = 0
    """In it or in any category below it, each model counted once."""


@dataclass(frozen=True, slots=True)
class CategoryAssociation:
    """That a model is in a category."""

    id: UUID
    """Of the category."""
    category_name: str
    model_id: UUID
    model_name: str


async def lock_tree(session: AsyncSession) -> Tree:
    """Read every category and let nobody else change the tree until the transaction ends.

    One lock for all of it, taken before anything is read: two moves that are fine alone can make a cycle together,
    and no row that both would lock tells them so.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("catalog.categories"))))
    return {each.id: each for each in await every_category(session)}


async def get_category(session: AsyncSession, category_id: UUID) -> Category:
    """Read a category.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, Category, _alive.where(categories.c.id == category_id))
    if found is None:
        raise NotFoundError("category", category_id)
    return found


async def hold_categories(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Answer which of the ids are of living categories, and keep others from deleting those meanwhile."""
    query = sa.select(categories.c.id).where(rows.among(categories.c.id, ids), categories.c.deleted_at.is_(None))
    held = query.order_by(categories.c.id).with_for_update(read=True, key_share=True)
    return set(await session.scalars(held))


async def lock_category(session: AsyncSession, category_id: UUID) -> None:
    """Keep others from putting models into the category until the transaction ends."""
    await session.execute(sa.select(categories.c.id).where(categories.c.id == category_id).with_for_update())


async def list_categories(session: AsyncSession, wanted: CategoryFilter, *, paging: Paging) -> list[Category]:
    """List categories one more than the page holds."""
    query = _alive
    if wanted.name is not None:
        query = query.where(categories.c.name == wanted.name)
    if wanted.search is not None:
        fields = (categories.c.name, categories.c.display_name, categories.c.description)
        query = query.where(sa.or_(*(field.icontains(wanted.search, autoescape=True) for field in fields)))
    if wanted.parent_id is not None:
        query = query.where(categories.c.parent_id == wanted.parent_id)
    if wanted.is_root is not None:
        is_root = categories.c.parent_id.is_(None)
        query = query.where(is_root if wanted.is_root else ~is_root)
    return await rows.fetch_all(session, Category, page(query, categories, paging))


async def counted_categories(session: AsyncSession) -> list[CountedCategory]:
    """Read the whole tree with the number of models in each category and below it: one statement."""
    own = (
        sa.select(models.c.id.label("model_id"), sa.func.unnest(models.c.category_ids).label("category_id"))
        .where(models.c.deleted_at.is_(None))
        .cte("own")
    )
    # UNION drops what it has already, so a model in two categories of a branch goes up from where they meet once.
    up = sa.select(own).cte("up", recursive=True)
    above = sa.select(up.c.model_id, categories.c.parent_id).join(categories, categories.c.id == up.c.category_id)
    up = up.union(above.where(categories.c.parent_id.is_not(None)))
    here, below = _counted(own, "here"), _counted(up, "below")
    query = (
        _alive.add_columns(_or_zero(here).label("models"), _or_zero(below).label("models_below"))
        .outerjoin_from(categories, here, here.c.category_id == categories.c.id)
        .outerjoin(below, below.c.category_id == categories.c.id)
    )
    return await rows.fetch_all(session, CountedCategory, query)


async def every_category(session: AsyncSession) -> list[Category]:
    """Read every category for the snapshot."""
    return await rows.fetch_all(session, Category, _alive.order_by(categories.c.id))


async def is_name_taken(session: AsyncSession, name: str) -> bool:
    """Tell whether a living category has that name."""
    return await session.scalar(sa.select(sa.exists(_alive.where(categories.c.name == name)))) or False


async def insert_category(session: AsyncSession, category: Category) -> None:
    """Add the category."""
    await rows.insert_all(session, categories, [category])


async def save_categories(session: AsyncSession, changed: Iterable[Category]) -> None:
    """Write the categories' fields."""
    await rows.update_all(session, categories, list(changed))


async def categories_of(session: AsyncSession, model_id: UUID) -> list[Category]:
    """Read the categories that a model is in, by name."""
    held = sa.select(sa.func.unnest(models.c.category_ids)).where(models.c.id == model_id)
    query = _alive.where(categories.c.id.in_(held)).order_by(categories.c.name)
    return await rows.fetch_all(session, Category, query)


async def list_associations(
    session: AsyncSession, *, model_id: UUID | None, category_id: UUID | None, paging: Paging
) -> list[CategoryAssociation]:
    """List which model is in which category, in order of models, one more than the page holds."""
    each = sa.func.unnest(models.c.category_ids).table_valued(sa.column("id", sa.Uuid), name="each").render_derived()
    held = (
        sa.select(each.c.id, models.c.id.label("model_id"), models.c.name.label("model_name"))
        .select_from(models.join(each, sa.true()))
        .where(models.c.deleted_at.is_(None))
    )
    if model_id is not None:
        held = held.where(models.c.id == model_id)
    if category_id is not None:
        held = held.where(models.c.category_ids.contains([category_id]), each.c.id == category_id)
    pairs = held.subquery()
    query = sa.select(pairs, categories.c.name.label("category_name")).join(categories, categories.c.id == pairs.c.id)
    return await rows.fetch_all(session, CategoryAssociation, page(query, pairs, paging))


def is_in(category_id: UUID) -> sa.ColumnElement[bool]:
    """Tell of a model whether it lives and is in the category itself."""
    return models.c.deleted_at.is_(None) & models.c.category_ids.contains([category_id])


def _counted(held: sa.CTE, name: str) -> sa.Subquery:
    return sa.select(held.c.category_id, sa.func.count().label("number")).group_by(held.c.category_id).subquery(name)


def _or_zero(counted: sa.Subquery) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(counted.c.number, 0)
