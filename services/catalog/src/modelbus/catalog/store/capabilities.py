"""Queries about capabilities, and which models have them."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.capabilities import Capability
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import capabilities, models

_alive = sa.select(capabilities).where(capabilities.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class CapabilityFilter:
    """What a list of capabilities is narrowed to; None leaves it open."""

    name: str | None = None
    search: str | None = None
    """Part of the name, display name or description, in any case."""
    domain: str | None = None
    input_type: str | None = None
    output_type: str | None = None


@dataclass(frozen=True, slots=True)
class ModelCapability(Capability):
    """A capability as a model has it."""

    config: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class CapabilityAssociation:
    """That a model has a capability."""

    id: UUID
    """Of the capability."""
    capability_name: str
    model_id: UUID
    model_name: str
    config: dict[str, Any]


async def get_capability(session: AsyncSession, capability_id: UUID) -> Capability:
    """Read a capability.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, Capability, _alive.where(capabilities.c.id == capability_id))
    if found is None:
        raise NotFoundError("capability", capability_id)
    return found


async def lock_capability(session: AsyncSession, capability_id: UUID) -> Capability:
    """Read a capability and keep others from changing it, and from giving it, until the transaction ends."""
    await references.lock_holder(session, capabilities, capability_id)
    return await get_capability(session, capability_id)


async def hold_capability(session: AsyncSession, capability_id: UUID) -> bool:
    """Tell whether there is such a capability, and keep it from being deleted until the transaction ends."""
    query = sa.select(capabilities.c.id).where(capabilities.c.id == capability_id, capabilities.c.deleted_at.is_(None))
    return await session.scalar(query.with_for_update(read=True, key_share=True)) is not None


async def hold_capabilities(session: AsyncSession, names: Collection[str]) -> dict[str, UUID]:
    """Answer the ids of those of the names that are capabilities', and keep them from being deleted meanwhile."""
    if not names:
        return {}
    query = sa.select(capabilities.c.name, capabilities.c.id).where(
        rows.among(capabilities.c.name, names), capabilities.c.deleted_at.is_(None)
    )
    held = await session.execute(query.order_by(capabilities.c.id).with_for_update(read=True, key_share=True))
    return {row.name: row.id for row in held}


async def list_capabilities(session: AsyncSession, wanted: CapabilityFilter, *, paging: Paging) -> list[Capability]:
    """List capabilities one more than the page holds."""
    query = _alive
    for name in ("name", "domain"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(capabilities.c[name] == value)
    if wanted.search is not None:
        fields = (capabilities.c.name, capabilities.c.display_name, capabilities.c.description)
        query = query.where(sa.or_(*(field.icontains(wanted.search, autoescape=True) for field in fields)))
    if wanted.input_type is not None:
        query = query.where(capabilities.c.input_types.contains([wanted.input_type]))
    if wanted.output_type is not None:
        query = query.where(capabilities.c.output_types.contains([wanted.output_type]))
    return await rows.fetch_all(session, Capability, page(query, capabilities, paging))


async def every_capability(session: AsyncSession) -> list[Capability]:
    """Read every capability for the snapshot."""
    return await rows.fetch_all(session, Capability, _alive.order_by(capabilities.c.id))


async def ids_ever_used(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Answer which of the ids a capability has, or had before it was deleted."""
    return set(await session.scalars(sa.select(capabilities.c.id).where(rows.among(capabilities.c.id, ids))))


async def is_name_taken(session: AsyncSession, name: str) -> bool:
    """Tell whether a living capability has that name."""
    return await session.scalar(sa.select(sa.exists(_alive.where(capabilities.c.name == name)))) or False


async def insert_capability(session: AsyncSession, capability: Capability) -> None:
    """Add the capability."""
    await rows.insert_all(session, capabilities, [capability])


async def save_capability(session: AsyncSession, capability: Capability) -> None:
    """Write the capability's fields."""
    await rows.update_all(session, capabilities, [capability])


async def capabilities_of(session: AsyncSession, model_id: UUID) -> list[ModelCapability]:
    """Read what a model can do, by name."""
    had = _had().where(models.c.id == model_id).subquery()
    query = sa.select(capabilities, had.c.config).join(had, had.c.id == capabilities.c.id)
    query = query.where(capabilities.c.deleted_at.is_(None)).order_by(capabilities.c.name)
    return await rows.fetch_all(session, ModelCapability, query)


async def list_associations(
    session: AsyncSession, *, model_id: UUID | None, capability_id: UUID | None, paging: Paging
) -> list[CapabilityAssociation]:
    """List which model has which capability, in order of models, one more than the page holds."""
    had = _had()
    if model_id is not None:
        had = had.where(models.c.id == model_id)
    if capability_id is not None:
        had = had.where(models.c.capabilities.has_key(str(capability_id)))
    pairs = had.subquery()
    query = sa.select(pairs, capabilities.c.name.label("capability_name")).join(
        capabilities, capabilities.c.id == pairs.c.id
    )
    if capability_id is not None:
        query = query.where(pairs.c.id == capability_id)
    return await rows.fetch_all(session, CapabilityAssociation, page(query, pairs, paging))


def has(capability_id: UUID) -> sa.ColumnElement[bool]:
    """Tell of a model whether it lives and has the capability."""
    had: sa.ColumnElement[bool] = models.c.capabilities.has_key(str(capability_id))
    return models.c.deleted_at.is_(None) & had


def _had() -> sa.Select[Any]:
    each = sa.func.jsonb_each(models.c.capabilities).table_valued("key", sa.column("value", models.c.capabilities.type))
    return (
        sa.select(
            sa.cast(each.c.key, sa.Uuid).label("id"),
            models.c.id.label("model_id"),
            models.c.name.label("model_name"),
            each.c.value.label("config"),
        )
        .select_from(models.join(each, sa.true()))
        .where(models.c.deleted_at.is_(None))
    )
