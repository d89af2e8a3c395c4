"""Queries about tags, their rules, and which models have them."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain import tag_rules
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.tags import Given, Rules, Tag
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.prices import charges_now
from modelbus.catalog.store.tables import models, tags

_alive = sa.select(tags).where(tags.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class TagFilter:
    """What a list of tags is narrowed to; None leaves it open."""

    name: str | None = None
    search: str | None = None
    """Part of the name, display name or description, in any case."""
    has_rule: bool | None = None


@dataclass(frozen=True, slots=True)
class Taggable:
    """What rules look at in a model, and how it stands to its tags."""

    id: UUID
    name: str
    model_type: str
    context_window: int | None
    created_at: datetime
    capabilities: dict[str, Any]
    tag_ids: list[UUID]
    rule_tag_ids: list[UUID]
    untagged_ids: list[UUID]


@dataclass(frozen=True, slots=True)
class ModelTag(Tag):
    """A tag, and how a model stands to it."""

    by_hand: bool = False
    by_rule: bool = False
    taken_away: bool = False


@dataclass(frozen=True, slots=True)
class TaggedModel:
    """A model, and how it stands to a tag."""

    id: UUID
    name: str
    display_name: str
    model_type: str
    is_available: bool
    by_hand: bool
    by_rule: bool
    taken_away: bool


@dataclass(frozen=True, slots=True)
class ModelWithTags:
    """A model with the tags that users see of it."""

    id: UUID
    name: str
    display_name: str
    model_type: str
    is_available: bool
    tag_ids: list[UUID]
    rule_tag_ids: list[UUID]
    untagged_ids: list[UUID]
    tags: list[ModelTag] = field(default_factory=list)


async def get_tag(session: AsyncSession, tag_id: UUID) -> Tag:
    """Read a tag.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, Tag, _alive.where(tags.c.id == tag_id))
    if found is None:
        raise NotFoundError("tag", tag_id)
    return found


async def lock_tag(session: AsyncSession, tag_id: UUID) -> Tag:
    """Read a tag and keep others from changing it, and from giving it, until the transaction ends."""
    await references.lock_holder(session, tags, tag_id)
    return await get_tag(session, tag_id)


async def hold_tag(session: AsyncSession, tag_id: UUID) -> Tag:
    """Read a tag and keep it from being changed or deleted until the transaction ends.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    await session.execute(sa.select(tags.c.id).where(tags.c.id == tag_id).with_for_update(read=True))
    return await get_tag(session, tag_id)


async def lock_tags_by_capability(session: AsyncSession, capability_id: UUID) -> list[Tag]:
    """Read the tags whose rule asks for the capability, and keep others from changing them."""
    asking = _alive.where(tags.c.rule["capability_id"].astext == str(capability_id))
    return await rows.fetch_all(session, Tag, asking.order_by(tags.c.id).with_for_update())


async def list_tags(session: AsyncSession, wanted: TagFilter, *, paging: Paging) -> list[Tag]:
    """List tags one more than the page holds."""
    query = _alive
    if wanted.name is not None:
        query = query.where(tags.c.name == wanted.name)
    if wanted.search is not None:
        fields = (tags.c.name, tags.c.display_name, tags.c.description)
        query = query.where(sa.or_(*(each.icontains(wanted.search, autoescape=True) for each in fields)))
    if wanted.has_rule is not None:
        query = query.where(tags.c.rule.is_not(None) if wanted.has_rule else tags.c.rule.is_(None))
    return await rows.fetch_all(session, Tag, page(query, tags, paging))


async def every_tag(session: AsyncSession) -> list[Tag]:
    """Read every tag for the snapshot."""
    return await rows.fetch_all(session, Tag, _alive.order_by(tags.c.id))


async def ids_ever_used(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Answer which of the ids a tag has, or had before it was deleted."""
    return set(await session.scalars(sa.select(tags.c.id).where(rows.among(tags.c.id, ids))))


async def is_name_taken(session: AsyncSession, name: str) -> bool:
    """Tell whether a living tag has that name."""
    return await session.scalar(sa.select(sa.exists(_alive.where(tags.c.name == name)))) or False


async def insert_tag(session: AsyncSession, tag: Tag) -> None:
    """Add the tag."""
    await rows.insert_all(session, tags, [tag])


async def save_tag(session: AsyncSession, tag: Tag) -> None:
    """Write the tag's fields."""
    await rows.update_all(session, tags, [tag])


async def rules_in_force(session: AsyncSession) -> Rules:
    """Read the rule of every tag that has one."""
    query = sa.select(tags.c.id, tags.c.rule).where(tags.c.deleted_at.is_(None), tags.c.rule.is_not(None))
    return {row.id: tag_rules.read(row.rule) for row in await session.execute(query)}


def every_taggable(session: AsyncSession) -> AsyncIterator[list[Taggable]]:
    """Read what rules look at in every model, some models at a time."""
    columns = (models.c[each] for each in Taggable.__slots__)
    return rows.portions(session, Taggable, sa.select(*columns).where(models.c.deleted_at.is_(None)), models)


async def input_prices(session: AsyncSession) -> dict[UUID, Decimal]:
    """Answer what consumers are charged now for a million tokens of input, by model, where that is known."""
    query = sa.select(charges_now.c.model_id, charges_now.c.input).where(charges_now.c.input.is_not(None))
    return {row.model_id: row.input for row in await session.execute(query)}


async def tags_of(session: AsyncSession, model_id: UUID) -> list[ModelTag]:
    """Read how a model stands to each tag that it has, or that was taken from it, in their order."""
    stands = {name: tags.c.id == sa.any_(models.c[column]) for name, column in _STANDING.items()}
    query = (
        sa.select(tags, *(claim.label(name) for name, claim in stands.items()))
        .join(models, sa.or_(*stands.values()))
        .where(tags.c.deleted_at.is_(None), models.c.id == model_id)
    )
    return await rows.fetch_all(session, ModelTag, query.order_by(tags.c.position, tags.c.name))


async def list_models_of_tag(
    session: AsyncSession, tag_id: UUID, given: Given | None, *, paging: Paging
) -> list[TaggedModel]:
    """List models that have a tag, or stand to it as `given`, one more than the page holds."""
    stands = {name: models.c[column].contains([tag_id]) for name, column in _STANDING.items()}
    if given is Given.TAKEN_AWAY:
        is_wanted = stands["taken_away"]
    elif given is not None:
        is_wanted = stands[given] & ~stands["taken_away"]
    else:
        is_wanted = stands["by_hand"] | (stands["by_rule"] & ~stands["taken_away"])
    shown = (models.c[each] for each in ("id", "name", "display_name", "model_type", "is_available"))
    query = sa.select(*shown, *(claim.label(name) for name, claim in stands.items()))
    query = query.where(models.c.deleted_at.is_(None), is_wanted)
    return await rows.fetch_all(session, TaggedModel, page(query, models, paging))


async def list_models_with_tags(
    session: AsyncSession, *, search: str | None, model_type: str | None, paging: Paging
) -> list[ModelWithTags]:
    """List models one more than the page holds; their tags are for the caller to find by their ids."""
    shown = (models.c[each] for each in ModelWithTags.__slots__ if each != "tags")
    query = sa.select(*shown).where(models.c.deleted_at.is_(None))
    if search is not None:
        fields = (models.c.name, models.c.display_name)
        query = query.where(sa.or_(*(each.icontains(search, autoescape=True) for each in fields)))
    if model_type is not None:
        query = query.where(models.c.model_type == model_type)
    return await rows.fetch_all(session, ModelWithTags, page(query, models, paging))


def is_named(tag_id: UUID) -> sa.ColumnElement[bool]:
    """Tell of a model whether it lives and stands to the tag in any way."""
    named = (models.c[column].contains([tag_id]) for column in _STANDING.values())
    return models.c.deleted_at.is_(None) & sa.or_(*named)


def is_given_by_hand(tag_id: UUID) -> sa.ColumnElement[bool]:
    """Tell of a model whether it lives and has the tag by hand."""
    return models.c.deleted_at.is_(None) & models.c.tag_ids.contains([tag_id])


_STANDING = {"by_hand": "tag_ids", "by_rule": "rule_tag_ids", "taken_away": "untagged_ids"}
"""Where a model says how it stands to its tags."""
