"""Queries about sources, and what their availability depends on."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.availability import Standing
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.sources import Source
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import credentials, models, sources, suppliers

_alive = sa.select(sources).where(sources.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """What a list of sources is narrowed to; None leaves it open."""

    model_id: UUID | None = None
    supplier_id: UUID | None = None
    upstream_name: str | None = None
    is_available: bool | None = None


async def get_source(session: AsyncSession, source_id: UUID) -> Source:
    """Read a source.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    source = await rows.fetch_one(session, Source, _alive.where(sources.c.id == source_id))
    if source is None:
        raise NotFoundError("source", source_id)
    return source


async def list_sources(session: AsyncSession, wanted: SourceFilter, *, paging: Paging) -> list[Source]:
    """List sources one more than the page holds."""
    query = _alive
    for name in ("model_id", "supplier_id", "upstream_name", "is_available"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(sources.c[name] == value)
    return await rows.fetch_all(session, Source, page(query, sources, paging))


async def sources_of_models(
    session: AsyncSession, model_ids: Collection[UUID], *, with_deleted: Collection[UUID] = ()
) -> list[Source]:
    """Read the living sources of models, the preferred one of each first; and the deleted ones that are named."""
    is_wanted = sources.c.deleted_at.is_(None) | rows.among(sources.c.id, with_deleted)
    query = sa.select(sources).where(rows.among(sources.c.model_id, model_ids), is_wanted)
    return await rows.fetch_all(session, Source, query.order_by(sources.c.priority, sources.c.id))


async def sources_of_supplier(session: AsyncSession, supplier_id: UUID) -> list[Source]:
    """Read the living sources of one supplier."""
    return await rows.fetch_all(session, Source, _alive.where(sources.c.supplier_id == supplier_id))


async def every_source(session: AsyncSession) -> list[Source]:
    """Read every source for the snapshot."""
    return await rows.fetch_all(session, Source, _alive.order_by(sources.c.id))


async def insert_sources(session: AsyncSession, new: list[Source]) -> None:
    """Add the sources."""
    await rows.insert_all(session, sources, new)


async def save_sources(session: AsyncSession, changed: list[Source]) -> None:
    """Write the sources' fields."""
    await rows.update_all(session, sources, changed)


async def standings(session: AsyncSession, model_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Read, for every source of the models, what its availability depends on."""
    usable_key = sa.exists().where(
        credentials.c.supplier_id == suppliers.c.id,
        credentials.c.deleted_at.is_(None),
        credentials.c.is_active,
        credentials.c.state != "dead",
    )
    query = (
        sa.select(
            sources.c.id,
            suppliers.c.deleted_at.is_not(None),
            suppliers.c.is_active,
            sa.not_(suppliers.c.requires_credential) | usable_key,
            models.c.deleted_at.is_not(None),
        )
        .join(suppliers, suppliers.c.id == sources.c.supplier_id)
        .join(models, models.c.id == sources.c.model_id)
        .where(rows.among(sources.c.model_id, model_ids))
    )
    return {row[0]: Standing(*row[1:]) for row in await session.execute(query)}
