"""Queries about targets: models and sources."""

from collections.abc import Collection
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.targets import DELETED, Model, Source
from modelbus.integrity.store.index import among, known_columns, known_values, upsert
from modelbus.integrity.store.tables import models, sources

_SAVE_MODEL = upsert(models)
_SAVE_SOURCE = upsert(sources)


async def find_model(session: AsyncSession, model_id: UUID) -> Model | None:
    """Find what is known of a model."""
    row = (await session.execute(sa.select(models).where(models.c.id == model_id))).one_or_none()
    if row is None:
        return None
    return Model(**known_columns(row), name=row.name, unavailable_because=row.unavailable_because)


async def find_source(session: AsyncSession, source_id: UUID) -> Source | None:
    """Find what is known of a source."""
    row = (await session.execute(sa.select(sources).where(sources.c.id == source_id))).one_or_none()
    if row is None:
        return None
    return Source(
        **known_columns(row),
        model_id=row.model_id,
        supplier_id=row.supplier_id,
        unavailable_because=row.unavailable_because,
    )


async def save_models(session: AsyncSession, changed: Collection[Model]) -> None:
    """Save what is known of models."""
    rows = [
        {**known_values(model), "name": model.name, "unavailable_because": model.unavailable_because}
        for model in changed
    ]
    if rows:
        await session.execute(_SAVE_MODEL, rows)


async def save_sources(session: AsyncSession, changed: Collection[Source]) -> None:
    """Save what is known of sources."""
    rows = [
        {
            **known_values(source),
            "model_id": source.model_id,
            "supplier_id": source.supplier_id,
            "unavailable_because": source.unavailable_because,
        }
        for source in changed
    ]
    if rows:
        await session.execute(_SAVE_SOURCE, rows)


async def bury_targets(session: AsyncSession, table: sa.Table, ids: Collection[UUID]) -> None:
    """Mark targets of the table as deleted; what they were called stays."""
    if ids:
        gone = sa.update(table).values(record=None, digest=0, unavailable_because=DELETED)
        await session.execute(gone.where(among(table.c.id, ids)))


async def list_models_named(session: AsyncSession, named: str) -> list[UUID]:
    """List the models of that name that are not deleted."""
    living = sa.select(models.c.id).where(models.c.name == named, models.c.record.is_not(None))
    return list((await session.scalars(living)).all())


async def is_target(session: AsyncSession, target_id: UUID) -> bool:
    """Tell whether a model or a source was ever known under that id."""
    either = sa.exists().where(models.c.id == target_id) | sa.exists().where(sources.c.id == target_id)
    return bool(await session.scalar(sa.select(either)))
