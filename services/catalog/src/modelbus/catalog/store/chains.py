"""Queries about chains and their steps."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.chains import Chain, Step, Target
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import chain_steps, chains, models, sources

_alive = sa.select(chains).where(chains.c.deleted_at.is_(None))


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step, and whether it could serve right now."""

    id: UUID
    chain_id: UUID
    position: int
    model_id: UUID
    model_name: str
    source_id: UUID | None
    is_available: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class ChainRow:
    """A chain, and how its steps stand right now."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    version: int
    steps: list[StepRow] = field(default_factory=list)


_shown = sa.select(
    chains.c.id,
    chains.c.name,
    chains.c.description,
    chains.c.is_active,
    chains.c.created_at,
    chains.c.updated_at,
    chains.c.version,
).where(chains.c.deleted_at.is_(None))


async def show_chain(session: AsyncSession, chain_id: UUID) -> ChainRow:
    """Read a chain as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, ChainRow, _shown.where(chains.c.id == chain_id))
    if found is None:
        raise NotFoundError("chain", chain_id)
    return replace(found, steps=(await _standing(session, [chain_id]))[chain_id])


async def list_chains(session: AsyncSession, *, name: str | None, paging: Paging) -> list[ChainRow]:
    """List chains as they stand right now, one more than the page holds."""
    query = _shown if name is None else _shown.where(chains.c.name == name)
    found = await rows.fetch_all(session, ChainRow, page(query, chains, paging))
    steps = await _standing(session, [chain.id for chain in found])
    return [replace(chain, steps=steps[chain.id]) for chain in found]


async def lock_chain(session: AsyncSession, chain_id: UUID) -> Chain:
    """Read a chain and keep others from changing it until the transaction ends.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    await references.lock_holder(session, chains, chain_id)
    found = await _with_steps(session, _alive.where(chains.c.id == chain_id), chain_steps.c.chain_id == chain_id)
    if not found:
        raise NotFoundError("chain", chain_id)
    return found[0]


async def is_name_taken(session: AsyncSession, name: str, *, but: UUID | None = None) -> bool:
    """Tell whether a chain, other than the one that is named, has that name."""
    others = _alive.where(chains.c.name == name)
    if but is not None:
        others = others.where(chains.c.id != but)
    return await session.scalar(sa.select(sa.exists(others))) or False


async def every_chain(session: AsyncSession) -> list[Chain]:
    """Read every chain for the snapshot."""
    return await _with_steps(session, _alive.order_by(chains.c.id), sa.true())


async def insert_chain(session: AsyncSession, chain: Chain) -> None:
    """Add the chain with its steps."""
    await references.insert_holder(session, chains, chain)
    await save_steps(session, chain)


async def save_chain(session: AsyncSession, chain: Chain) -> None:
    """Write the chain's fields, its steps left as they are."""
    await references.save_holder(session, chains, chain)


async def save_steps(session: AsyncSession, chain: Chain) -> None:
    """Write the chain's steps in place of those that it had."""
    places = [
        {
            "id": step.id,
            "position": position,
            "model_id": step.target.model_id,
            "source_id": step.target.source_id,
        }
        for position, step in enumerate(chain.steps)
    ]
    await references.replace_places(session, chain_steps.c.chain_id, chain.id, places)


async def _with_steps(session: AsyncSession, query: sa.Select[Any], which_steps: sa.ColumnElement[bool]) -> list[Chain]:
    steps: dict[UUID, list[Step]] = defaultdict(list)
    found = await rows.fetch_all(session, Chain, query)
    for row in await session.execute(sa.select(chain_steps).where(which_steps).order_by(chain_steps.c.position)):
        steps[row.chain_id].append(Step(row.id, Target(row.model_id, row.source_id)))
    return [replace(chain, steps=tuple(steps[chain.id])) for chain in found]


async def _standing(session: AsyncSession, chain_ids: Collection[UUID]) -> dict[UUID, list[StepRow]]:
    """Read the steps of the chains in order; one that names a source is out as well while its model is disabled."""
    query = (
        sa.select(
            chain_steps,
            models.c.name.label("model_name"),
            (models.c.is_available & sa.func.coalesce(sources.c.is_available, sa.true())).label("is_available"),
            sa.func.coalesce(sources.c.reason, models.c.reason).label("reason"),
        )
        .join(models, models.c.id == chain_steps.c.model_id)
        .outerjoin(sources, sources.c.id == chain_steps.c.source_id)
        .where(rows.among(chain_steps.c.chain_id, chain_ids))
        .order_by(chain_steps.c.position)
    )
    steps: dict[UUID, list[StepRow]] = defaultdict(list)
    for step in await rows.fetch_all(session, StepRow, query):
        steps[step.chain_id].append(step)
    return steps
