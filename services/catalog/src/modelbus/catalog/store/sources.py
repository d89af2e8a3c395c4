"""Queries about sources, and what their availability depends on."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.availability import Reason, Standing
from modelbus.catalog.domain.credentials import State
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import credential_models, credentials, sources, suppliers
from modelbus.catalog.store.tables.models import is_not_judged_retired_yet

_alive = sa.select(sources).where(sources.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class SourceFilter:
    """What a list of sources is narrowed to; None leaves it open."""

    model_id: UUID | None = None
    supplier_id: UUID | None = None
    upstream_name: str | None = None
    search: str | None = None
    """Part of the upstream name, in any case."""
    is_available: bool | None = None
    reason: str | None = None
    health: str | None = None
    origin: str | None = None
    is_enabled: bool | None = None


async def get_source(session: AsyncSession, source_id: UUID) -> Source:
    """Read a source.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    source = await rows.fetch_one(session, Source, _alive.where(sources.c.id == source_id))
    if source is None:
        raise NotFoundError("source", source_id)
    return source


async def sources_by_id(session: AsyncSession, ids: Collection[UUID]) -> list[Source]:
    """Read the living ones among these sources."""
    return await rows.fetch_all(session, Source, _alive.where(rows.among(sources.c.id, ids)))


async def list_sources(session: AsyncSession, wanted: SourceFilter, *, paging: Paging) -> list[Source]:
    """List sources one more than the page holds."""
    query = _alive
    for field in fields(wanted):
        value = getattr(wanted, field.name)
        if value is not None and field.name in sources.c:
            query = query.where(sources.c[field.name] == value)
    if wanted.search is not None:
        query = query.where(sources.c.upstream_name.icontains(wanted.search, autoescape=True))
    if wanted.reason is not None:
        # So that the planner sees that the index of those that are not available holds all of them.
        query = query.where(~sources.c.is_available)
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


async def sources_named(session: AsyncSession, supplier_id: UUID, upstream_names: Collection[str]) -> list[Source]:
    """Read the supplier's living sources of those upstream names."""
    query = _alive.where(sources.c.supplier_id == supplier_id, rows.among(sources.c.upstream_name, upstream_names))
    return await rows.fetch_all(session, Source, query)


async def sources_missing(session: AsyncSession, supplier_id: UUID, upstream_names: Collection[str]) -> list[Source]:
    """Read the supplier's living sources that a listing told of and that one of those names no longer does."""
    query = _alive.where(
        sources.c.supplier_id == supplier_id,
        sources.c.origin != Origin.ADMINISTRATOR,
        sources.c.is_listed,
        sa.not_(rows.among(sources.c.upstream_name, upstream_names)),
    )
    return await rows.fetch_all(session, Source, query)


def every_source(session: AsyncSession) -> AsyncIterator[list[Source]]:
    """Read every source, some at a time."""
    return rows.portions(session, Source, _alive, sources)


async def list_models_of_due(session: AsyncSession, now: datetime, *, limit: int) -> list[UUID]:
    """List the models of sources whose time has come and that were not judged since."""
    due = sa.select(sources.c.model_id).where(is_not_judged_retired_yet, sources.c.retires_at <= now)
    return list(dict.fromkeys(await session.scalars(due.order_by(sources.c.retires_at).limit(limit))))


async def verdicts_of_models(session: AsyncSession, model_ids: Collection[UUID]) -> dict[UUID, list[Reason | None]]:
    """Answer, for each model that has living sources, what was last judged of those that speak for it.

    That is None where one of them is available, else the reason of the preferred one.
    """
    preferred = aggregate_order_by(sources.c.reason, sources.c.priority, sources.c.id)
    query = (
        sa.select(sources.c.model_id, sa.func.bool_or(sources.c.is_available), sa.func.array_agg(preferred)[1])
        .where(rows.among(sources.c.model_id, model_ids), sources.c.deleted_at.is_(None))
        .group_by(sources.c.model_id)
    )
    return {
        model_id: [None if is_served or reason is None else Reason(reason)]
        for model_id, is_served, reason in await session.execute(query)
    }


async def available_of_models(session: AsyncSession, model_ids: Collection[UUID]) -> dict[UUID, list[UUID]]:
    """Answer the available sources of each model that has some, the preferred one first."""
    query = (
        sa.select(sources.c.model_id, sources.c.id)
        .where(rows.among(sources.c.model_id, model_ids), sources.c.is_available, sources.c.deleted_at.is_(None))
        .order_by(sources.c.priority, sources.c.id)
    )
    found: dict[UUID, list[UUID]] = {}
    for model_id, source_id in await session.execute(query):
        found.setdefault(model_id, []).append(source_id)
    return found


async def insert_sources(session: AsyncSession, new: list[Source]) -> None:
    """Add the sources."""
    await rows.insert_all(session, sources, new)


async def save_sources(session: AsyncSession, changed: list[Source]) -> None:
    """Write the sources' fields."""
    await rows.update_all(session, sources, changed)


async def unlist_sources(session: AsyncSession, supplier_id: UUID) -> None:
    """Let what the supplier's listings told wait for the next listing to tell it again."""
    listed = sa.update(sources).where(
        sources.c.supplier_id == supplier_id, sources.c.deleted_at.is_(None), sources.c.origin == Origin.LISTING
    )
    await session.execute(listed.values(is_listed=False))


async def standings(session: AsyncSession, supplier_ids: Collection[UUID]) -> dict[UUID, Standing]:
    """Read, for each supplier, what the availability of its sources depends on."""
    is_usable = (
        (credentials.c.supplier_id == suppliers.c.id)
        & credentials.c.deleted_at.is_(None)
        & credentials.c.is_active
        & (credentials.c.state != State.DEAD)
    )
    named = sa.select(credential_models.c.model_id.distinct()).where(
        credential_models.c.credential_id == credentials.c.id, is_usable, credentials.c.is_restricted
    )
    takes_any = sa.not_(suppliers.c.requires_credential) | sa.exists().where(is_usable, ~credentials.c.is_restricted)
    query = sa.select(
        suppliers.c.id,
        suppliers.c.deleted_at.is_not(None).label("is_supplier_deleted"),
        suppliers.c.is_active.label("is_supplier_active"),
        (sa.not_(suppliers.c.requires_credential) | sa.exists().where(is_usable)).label("has_credential"),
        sa.case((~takes_any, sa.func.array(named.scalar_subquery(), type_=ARRAY(sa.Uuid)))).label("only_models"),
    ).where(rows.among(suppliers.c.id, supplier_ids))
    return {row.id: _standing(row) for row in await session.execute(query)}


def _standing(row: sa.Row[Any]) -> Standing:
    only = None if row.only_models is None else frozenset(row.only_models)
    return Standing(row.is_supplier_deleted, row.is_supplier_active, row.has_credential, only)
