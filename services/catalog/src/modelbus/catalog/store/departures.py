"""Queries about what goes along when something is deleted or disabled, and what could take its place."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.credentials import State
from modelbus.catalog.domain.references import Replacement, TargetKind
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import credential_models, credentials, models, scopes, sources, strategies, suppliers


async def models_left_without(session: AsyncSession, source_ids: Collection[UUID]) -> set[UUID]:
    """Answer the models that are available, and that nothing but these sources serves."""
    others = sources.alias("others")
    is_served = sa.exists().where(
        others.c.model_id == models.c.id,
        others.c.is_available,
        others.c.deleted_at.is_(None),
        ~rows.among(others.c.id, source_ids),
    )
    query = (
        sa.select(models.c.id)
        .where(models.c.is_available, ~is_served)
        .where(models.c.id.in_(sa.select(sources.c.model_id).where(rows.among(sources.c.id, source_ids))))
    )
    return set(await session.scalars(query))


async def hold_models(session: AsyncSession, model_ids: Collection[UUID]) -> None:
    """Keep others from changing the models, and from making references to them, until the transaction ends."""
    query = sa.select(models.c.id).where(rows.among(models.c.id, model_ids)).order_by(models.c.id).with_for_update()
    await session.execute(query)


async def models_of_sources(session: AsyncSession, source_ids: Collection[UUID]) -> set[UUID]:
    """Answer the models that the sources serve."""
    return set(await session.scalars(sa.select(sources.c.model_id).where(rows.among(sources.c.id, source_ids))))


async def sources_of_suppliers(session: AsyncSession, supplier_ids: Collection[UUID]) -> set[UUID]:
    """Answer the living sources of the suppliers."""
    query = sa.select(sources.c.id).where(
        rows.among(sources.c.supplier_id, supplier_ids), sources.c.deleted_at.is_(None)
    )
    return set(await session.scalars(query))


async def sources_left_without(session: AsyncSession, credential_ids: Collection[UUID]) -> set[UUID]:
    """Answer the sources of these credentials' suppliers that need one, and that no other may be used for."""
    others = credentials.alias("others")
    is_usable = others.c.deleted_at.is_(None) & others.c.is_active & (others.c.state != State.DEAD)
    is_named = (
        sa.exists()
        .where(credential_models.c.credential_id == others.c.id, credential_models.c.model_id == sources.c.model_id)
        .correlate(others, sources)
    )
    has_another = sa.exists().where(
        others.c.supplier_id == sources.c.supplier_id,
        is_usable,
        ~others.c.is_restricted | is_named,
        ~rows.among(others.c.id, credential_ids),
    )
    theirs = sa.select(credentials.c.supplier_id).where(rows.among(credentials.c.id, credential_ids))
    needs_one = sources.c.supplier_id.in_(
        sa.select(suppliers.c.id).where(suppliers.c.id.in_(theirs), suppliers.c.requires_credential)
    )
    query = sa.select(sources.c.id).where(sources.c.deleted_at.is_(None), needs_one, ~has_another)
    return set(await session.scalars(query))


@dataclass(frozen=True, slots=True)
class Substitute:
    """How something stands that could take the place of something else."""

    replacement: Replacement
    model_type: str | None
    reason: str | None
    """Why it is not available; None while it is."""


async def find_substitute(session: AsyncSession, kind: TargetKind, key: UUID) -> Substitute | None:
    """Look up, and hold, a living model or source; a strategy or a scope, where such a thing goes."""
    if kind in {TargetKind.STRATEGY, TargetKind.SCOPE}:
        table = strategies if kind == TargetKind.STRATEGY else scopes
        fit = sa.select(table.c.id, table.c.is_active).where(table.c.id == key, table.c.deleted_at.is_(None))
        found = (await session.execute(fit.with_for_update(read=True, key_share=True))).one_or_none()
        if found is None:
            return None
        return Substitute(Replacement(found.id), None, None if found.is_active else "disabled")
    is_it = (sources.c.id == key) & sources.c.deleted_at.is_(None)
    served_by_it = sa.select(sources.c.model_id).where(is_it).scalar_subquery()
    # Who holds a model holds its sources with it.
    query = (
        sa.select(
            models.c.id,
            models.c.model_type,
            sources.c.id.label("source_id"),
            sa.func.coalesce(sources.c.reason, models.c.reason).label("reason"),
        )
        .outerjoin(sources, is_it & (sources.c.model_id == models.c.id))
        .where(models.c.deleted_at.is_(None), (models.c.id == key) | (models.c.id == served_by_it))
    )
    row = (await session.execute(query.with_for_update(read=True, key_share=True, of=models))).one_or_none()
    return None if row is None else Substitute(Replacement(row.id, row.source_id), row.model_type, row.reason)


async def types_of(session: AsyncSession, model_ids: Collection[UUID]) -> set[str]:
    """Answer the types of the models."""
    return set(
        await session.scalars(sa.select(models.c.model_type).where(rows.among(models.c.id, model_ids)).distinct())
    )
