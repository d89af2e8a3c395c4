"""Reading everything that a name may mean."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.matching import Known, Names
from modelbus.catalog.store.tables import models, sources, suppliers


async def read_names(session: AsyncSession) -> Names:
    """Read the names of every model, source and supplier that lives."""
    called = await _suppliers(session)
    known = [
        Known(row.id, row.name, tuple(row.aliases))
        for row in await session.execute(
            sa.select(models.c.id, models.c.name, models.c.aliases).where(models.c.deleted_at.is_(None))
        )
    ]
    offered = (
        sa.select(sources.c.id, sources.c.supplier_id, sources.c.upstream_name, models.c.id.label("model_id"))
        .add_columns(models.c.name, models.c.aliases)
        .join(models, models.c.id == sources.c.model_id)
        .where(sources.c.deleted_at.is_(None), models.c.deleted_at.is_(None))
    )
    known += [
        Known(
            model_id=row.model_id,
            model_name=row.name,
            other_names=(row.upstream_name, *row.aliases),
            source_id=row.id,
            supplier_id=row.supplier_id,
        )
        for row in await session.execute(offered)
    ]
    return Names.of(known, called.items())


async def _suppliers(session: AsyncSession) -> dict[UUID, tuple[str, ...]]:
    query = sa.select(suppliers.c.id, suppliers.c.name, suppliers.c.display_name, suppliers.c.namespace)
    living = await session.execute(query.where(suppliers.c.deleted_at.is_(None)))
    return {row.id: tuple(filter(None, (row.name, row.display_name, row.namespace))) for row in living}
