"""Reading the steps of chains as older systems wrote them: a supplier's name, its name of the model, and a protocol."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import chain_steps, models, sources, suppliers


@dataclass(frozen=True, slots=True)
class OlderStep:
    """A step by names; one that names no source stands for the preferred one of its model."""

    chain_id: UUID
    vendor: str | None
    model: str
    protocol: str | None
    features: dict[str, bool] | None


async def older_steps(session: AsyncSession, chain_ids: Collection[UUID]) -> dict[UUID, list[OlderStep]]:
    """Read the steps of the chains in order, in one query."""
    # The preferred source is the one that routing would take: available before not, then by priority.
    preferred = (
        sa.select(sources.c.supplier_id, sources.c.upstream_name, sources.c.protocol)
        .where(
            sources.c.model_id == chain_steps.c.model_id,
            sources.c.deleted_at.is_(None) | (sources.c.id == chain_steps.c.source_id),
            sa.func.coalesce(chain_steps.c.source_id, sources.c.id) == sources.c.id,
        )
        .order_by(sources.c.is_available.desc(), sources.c.priority, sources.c.id)
        .limit(1)
        .lateral("preferred")
    )
    query = (
        sa.select(
            chain_steps.c.chain_id,
            suppliers.c.name.label("vendor"),
            sa.func.coalesce(preferred.c.upstream_name, models.c.name).label("model"),
            sa.func.coalesce(chain_steps.c.protocol, preferred.c.protocol, suppliers.c.protocol).label("protocol"),
            chain_steps.c.features,
        )
        .join(models, models.c.id == chain_steps.c.model_id)
        .outerjoin(preferred, sa.true())
        .outerjoin(suppliers, suppliers.c.id == preferred.c.supplier_id)
        .where(rows.among(chain_steps.c.chain_id, chain_ids))
        .order_by(chain_steps.c.position)
    )
    steps: dict[UUID, list[OlderStep]] = defaultdict(list)
    for step in await rows.fetch_all(session, OlderStep, query):
        steps[step.chain_id].append(step)
    return steps
