"""Queries about what observers say of suppliers and sources."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.health import Claim
from modelbus.catalog.domain.sources import Health, Source
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import health_claims, sources


async def note_claim(session: AsyncSession, claim: Claim) -> None:
    """Keep what the observer says, unless it has said something later."""
    values = {name: getattr(claim, name) for name in health_claims.c.keys()}  # noqa: SIM118 - a collection, no dict
    said = insert(health_claims).values(values)
    changed = {name: said.excluded[name] for name in values if name not in {"subject_id", "observer"}}
    is_later = said.excluded.observed_at > health_claims.c.observed_at
    await session.execute(
        said.on_conflict_do_update(index_elements=["subject_id", "observer"], set_=changed, where=is_later)
    )


async def lock_unsettled(session: AsyncSession, *, expired_before: datetime) -> list[Claim]:
    """Lock all that is said of one supplier and its sources, of which something is new or has expired."""
    is_unsettled = ~health_claims.c.is_settled | (health_claims.c.observed_at <= expired_before)
    one = sa.select(health_claims.c.supplier_id).where(is_unsettled).order_by(health_claims.c.observed_at).limit(1)
    supplier_id = await session.scalar(one.with_for_update(skip_locked=True))
    if supplier_id is None:
        return []
    theirs = sa.select(health_claims).where(health_claims.c.supplier_id == supplier_id)
    theirs = theirs.order_by(health_claims.c.subject_id, health_claims.c.observer)
    return await rows.fetch_all(session, Claim, theirs.with_for_update())


async def settle_claims(session: AsyncSession, supplier_id: UUID, *, expired_before: datetime) -> None:
    """Note that all that follows is done, and forget what says nothing any more."""
    is_theirs = health_claims.c.supplier_id == supplier_id
    is_empty = (health_claims.c.health == Health.UNKNOWN) | (health_claims.c.observed_at <= expired_before)
    await session.execute(sa.delete(health_claims).where(is_theirs, is_empty))
    await session.execute(
        sa.update(health_claims).where(is_theirs, ~health_claims.c.is_settled).values(is_settled=True)
    )


async def list_otherwise(
    session: AsyncSession,
    supplier_id: UUID,
    but: Collection[UUID],
    held: tuple[str, datetime | None],
    *,
    limit: int,
) -> dict[UUID, UUID]:
    """List sources of the supplier, but for these, of which something else is held; and the model of each."""
    health, unhealthy_at = held
    is_otherwise = (sources.c.health != health) | sources.c.unhealthy_at.is_distinct_from(unhealthy_at)
    query = sa.select(sources.c.id, sources.c.model_id).where(
        sources.c.supplier_id == supplier_id,
        sources.c.deleted_at.is_(None),
        sa.not_(rows.among(sources.c.id, but)),
        is_otherwise,
    )
    return {row.id: row.model_id for row in await session.execute(query.order_by(sources.c.id).limit(limit))}


async def models_of(session: AsyncSession, supplier_id: UUID, source_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Answer the model of each of these living sources of the supplier."""
    query = sa.select(sources.c.id, sources.c.model_id).where(
        rows.among(sources.c.id, source_ids), sources.c.supplier_id == supplier_id, sources.c.deleted_at.is_(None)
    )
    return {row.id: row.model_id for row in await session.execute(query)}


async def living(session: AsyncSession, source_ids: Collection[UUID]) -> Mapping[UUID, Source]:
    """Read the living ones among these sources."""
    query = sa.select(sources).where(rows.among(sources.c.id, source_ids), sources.c.deleted_at.is_(None))
    return {each.id: each for each in await rows.fetch_all(session, Source, query)}


async def list_due(session: AsyncSession, now: datetime, *, limit: int) -> list[UUID]:
    """List the models of sources that are available and have been down for too long."""
    due = sa.select(sources.c.model_id).where(
        sources.c.deleted_at.is_(None), sources.c.is_available, sources.c.unhealthy_at <= now
    )
    return list(dict.fromkeys(await session.scalars(due.order_by(sources.c.unhealthy_at).limit(limit))))


async def suppliers_unclaimed(session: AsyncSession) -> list[UUID]:
    """List suppliers with a source of which something is held that nobody says any more, as after a restore."""
    is_claimed = sa.exists().where(health_claims.c.supplier_id == sources.c.supplier_id)
    query = (
        sa.select(sources.c.supplier_id)
        .distinct()
        .where(sources.c.deleted_at.is_(None), sources.c.health != Health.UNKNOWN, ~is_claimed)
    )
    return list(await session.scalars(query))


async def list_claims(session: AsyncSession, supplier_id: UUID, source_id: UUID) -> list[Claim]:
    """List what is said of a source or of its whole supplier."""
    query = sa.select(health_claims).where(rows.among(health_claims.c.subject_id, [supplier_id, source_id]))
    ordered = query.order_by(health_claims.c.subject_id, health_claims.c.observer)
    return await rows.fetch_all(session, Claim, ordered)


async def count_sources(session: AsyncSession) -> dict[tuple[str, ...], float]:
    """Count the living sources by health and reason, which is empty for those that are available."""
    reason = sa.func.coalesce(sources.c.reason, "")
    query = sa.select(sources.c.health, reason, sa.func.count()).where(sources.c.deleted_at.is_(None))
    rows_of = await session.execute(query.group_by(sources.c.health, reason))
    return {(health, why): float(count) for health, why, count in rows_of}
