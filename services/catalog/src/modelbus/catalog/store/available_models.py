"""Queries about what routing configuration may refer to right now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.offers import capability_names
from modelbus.catalog.store.paging import Paging
from modelbus.catalog.store.tables import capabilities, models, sources, suppliers, tags

SORT = "upstream_name"


@dataclass(frozen=True, slots=True)
class AvailableModelFilter:
    """What the list is narrowed to; None leaves it open."""

    supplier_id: UUID | None = None
    model_type: str | None = None
    tier: str | None = None
    is_featured: bool | None = None
    capability: str | None = None
    """By name."""
    tag: str | None = None
    """By name."""
    search: str | None = None
    """Part of the name or display name, in any case."""


@dataclass(frozen=True, slots=True)
class AvailableModelRow:
    """One available source, with its model and supplier."""

    supplier_id: UUID
    supplier_name: str
    supplier_display_name: str
    supplier_kind: str
    source_id: UUID
    upstream_name: str
    priority: int
    health: str
    cost: dict[str, Any]
    model_id: UUID
    name: str
    display_name: str
    model_type: str
    tier: str
    context_window: int | None
    is_featured: bool
    capabilities: list[str]
    """By name."""
    tags: list[str]
    """By name, by hand and by rule."""

    @property
    def id(self) -> UUID:
        """What the list is sorted by first: the supplier, as its sources belong together."""
        return self.supplier_id


async def list_available_models(
    session: AsyncSession, wanted: AvailableModelFilter, paging: Paging
) -> list[AvailableModelRow]:
    """List available sources supplier by supplier, each by upstream name, one more than the page holds.

    Both are columns of one unique index, so a page is read from where the one before ended.
    """
    query = (
        sa.select(
            suppliers.c.id.label("supplier_id"),
            *(suppliers.c[name].label(f"supplier_{name}") for name in ("name", "display_name", "kind")),
            sources.c.id.label("source_id"),
            *(sources.c[name] for name in ("upstream_name", "priority", "health", "cost", "model_id")),
            *(models.c[name] for name in ("name", "display_name", "model_type", "tier", "context_window")),
            *(models.c[name] for name in ("is_featured", "capabilities", "tag_ids", "rule_tag_ids", "untagged_ids")),
        )
        .select_from(sources)
        .join(models, models.c.id == sources.c.model_id)
        .join(suppliers, suppliers.c.id == sources.c.supplier_id)
        .where(sources.c.deleted_at.is_(None), sources.c.is_available, models.c.is_available, *_criteria(wanted))
        .order_by(sources.c.supplier_id, sources.c.upstream_name)
        .limit(paging.limit + 1)
    )
    if paging.after is not None:
        place = sa.tuple_(sources.c.supplier_id, sources.c.upstream_name)
        query = query.where(place > sa.tuple_(sa.literal(paging.after, sa.Uuid), sa.literal(paging.value, sa.Text)))
    names = _Names(await capability_names(session), await _tag_names(session))
    return [names.read(row._mapping) for row in await session.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


@dataclass(frozen=True, slots=True)
class _Names:
    """What labels are called; few enough to be read whole, where a join would look for them row by row."""

    capabilities: dict[str, str]
    tags: dict[UUID, str]

    def read(self, row: Mapping[Any, Any]) -> AvailableModelRow:
        told = dict(row)
        given = {*told.pop("tag_ids"), *told.pop("rule_tag_ids")} - {*told.pop("untagged_ids")}
        told["tags"] = sorted(self.tags[each] for each in given if each in self.tags)
        told["capabilities"] = sorted(
            self.capabilities[key] for key in told["capabilities"] if key in self.capabilities
        )
        return AvailableModelRow(**told)


async def _tag_names(session: AsyncSession) -> dict[UUID, str]:
    query = sa.select(tags.c.id, tags.c.name).where(tags.c.deleted_at.is_(None))
    return {row.id: row.name for row in await session.execute(query)}


def _criteria(wanted: AvailableModelFilter) -> list[sa.ColumnElement[bool]]:
    criteria: list[sa.ColumnElement[bool]] = []
    if wanted.supplier_id is not None:
        criteria.append(sources.c.supplier_id == wanted.supplier_id)
    if wanted.search is not None:
        fields = (models.c.name, models.c.display_name)
        criteria.append(sa.or_(*(field.icontains(wanted.search, autoescape=True) for field in fields)))
    if wanted.capability is not None:
        named = sa.select(sa.cast(capabilities.c.id, sa.Text)).where(
            capabilities.c.name == wanted.capability, capabilities.c.deleted_at.is_(None)
        )
        criteria.append(models.c.capabilities.has_key(named.scalar_subquery()))
    if wanted.tag is not None:
        named = sa.select(tags.c.id).where(tags.c.name == wanted.tag, tags.c.deleted_at.is_(None))
        tag_id = postgresql.array([named.scalar_subquery()])
        has = [models.c[name].contains(tag_id) for name in ("tag_ids", "rule_tag_ids", "untagged_ids")]
        criteria.append((has[0] | has[1]) & ~has[2])
    for name in ("model_type", "tier", "is_featured"):
        value = getattr(wanted, name)
        if value is not None:
            criteria.append(models.c[name] == value)
    return criteria
