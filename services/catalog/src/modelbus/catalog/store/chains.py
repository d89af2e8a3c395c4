"""Queries about chains and their steps."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.chains import Chain, ChainOrigin, Step, Target, Trigger
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, notices_of
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.references import HolderFilter
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
    triggers: list[str]
    protocol: str | None
    features: dict[str, bool] | None
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
    origin: str
    steps: list[StepRow] = field(default_factory=list)

    @property
    def warnings(self) -> list[Notice]:
        """What of it is stale."""
        stale = [step for step in self.steps if not step.is_available]
        found = notices_of(
            (f"steps.{step.position}.{'source_id' if step.source_id else 'model_id'}", step.model_name, step.reason)
            for step in stale
        )
        if stale and len(stale) == len(self.steps):
            found.append(Notice("steps", "nothing_available", "no step could serve right now"))
        return found


_shown = sa.select(
    chains.c.id,
    chains.c.name,
    chains.c.description,
    chains.c.is_active,
    chains.c.created_at,
    chains.c.updated_at,
    chains.c.version,
    chains.c.origin,
).where(chains.c.deleted_at.is_(None))

_is_available = models.c.is_available & sa.func.coalesce(sources.c.is_available, sa.true())
_has_stale = sa.exists(
    sa.select(1)
    .select_from(
        chain_steps.join(models, models.c.id == chain_steps.c.model_id).outerjoin(
            sources, sources.c.id == chain_steps.c.source_id
        )
    )
    .where(chain_steps.c.chain_id == chains.c.id, ~_is_available)
    .correlate(chains)
)


def _refers_to(model_id: UUID) -> sa.ColumnElement[bool]:
    return sa.exists().where(chain_steps.c.chain_id == chains.c.id, chain_steps.c.model_id == model_id)


async def show_chain(session: AsyncSession, chain_id: UUID) -> ChainRow:
    """Read a chain as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, ChainRow, _shown.where(chains.c.id == chain_id))
    if found is None:
        raise NotFoundError("chain", chain_id)
    return replace(found, steps=(await _standing(session, [chain_id]))[chain_id])


async def list_chains(session: AsyncSession, wanted: HolderFilter, *, paging: Paging) -> list[ChainRow]:
    """List chains as they stand right now, one more than the page holds."""
    query = references.narrowed(_shown, chains, wanted, refers_to=_refers_to, has_stale=_has_stale)
    found = await rows.fetch_all(session, ChainRow, page(query, chains, paging))
    steps = await _standing(session, [chain.id for chain in found])
    return [replace(chain, steps=steps[chain.id]) for chain in found]


async def lock_chain(session: AsyncSession, chain_id: UUID) -> Chain:
    """Read a chain and keep others from changing it until the transaction ends.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    await references.lock_holder(session, chains, chain_id)
    return await get_chain(session, chain_id)


async def get_chain(session: AsyncSession, chain_id: UUID) -> Chain:
    """Read a chain.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await _with_steps(session, _alive.where(chains.c.id == chain_id), chain_steps.c.chain_id == chain_id)
    if not found:
        raise NotFoundError("chain", chain_id)
    return found[0]


async def find_chain(session: AsyncSession, name: str) -> Chain | None:
    """Look a chain up by name."""
    query = _alive.where(chains.c.name == name)
    is_its = chain_steps.c.chain_id.in_(query.with_only_columns(chains.c.id))
    found = await _with_steps(session, query, is_its)
    return found[0] if found else None


async def default_chains(session: AsyncSession, names: Collection[str], *, lock: bool) -> list[Chain]:
    """Read the chains of those names, and all that were built; held until the transaction ends where that is wanted."""
    is_named = chains.c.deleted_at.is_(None) & (
        rows.among(chains.c.name, names) | (chains.c.origin == ChainOrigin.DEFAULT)
    )
    ids = sa.select(chains.c.id).where(is_named).order_by(chains.c.id)
    keys = list(await session.scalars(ids.with_for_update() if lock else ids))
    return await _with_steps(
        session, _alive.where(rows.among(chains.c.id, keys)), rows.among(chain_steps.c.chain_id, keys)
    )


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
            "triggers": list(step.target.triggers),
            "protocol": step.target.protocol,
            "features": step.target.features,
        }
        for position, step in enumerate(chain.steps)
    ]
    await references.replace_places(session, chain_steps.c.chain_id, chain.id, places)


async def _with_steps(session: AsyncSession, query: sa.Select[Any], which_steps: sa.ColumnElement[bool]) -> list[Chain]:
    steps: dict[UUID, list[Step]] = defaultdict(list)
    found = await rows.fetch_all(session, Chain, query)
    for row in await session.execute(sa.select(chain_steps).where(which_steps).order_by(chain_steps.c.position)):
        triggers = tuple(Trigger(trigger) for trigger in row.triggers)
        target = Target(row.model_id, row.source_id, triggers, row.protocol, row.features)
        steps[row.chain_id].append(Step(row.id, target))
    return [replace(chain, steps=tuple(steps[chain.id])) for chain in found]


async def _standing(session: AsyncSession, chain_ids: Collection[UUID]) -> dict[UUID, list[StepRow]]:
    """Read the steps of the chains in order; one that names a source is out as well while its model is disabled."""
    query = (
        sa.select(
            chain_steps,
            models.c.name.label("model_name"),
            _is_available.label("is_available"),
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
