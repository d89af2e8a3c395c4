"""Queries about things of any kind: whether they are there, how they are called, whether they were deleted."""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import rows, tables
from modelbus.catalog.store.tables import versions

TABLES: dict[str, sa.Table] = {
    # Labels before models, as whoever deletes a label takes them.
    "capability": tables.capabilities,
    "category": tables.categories,
    "tag": tables.tags,
    "supplier": tables.suppliers,
    "credential": tables.credentials,
    "model": tables.models,
    "source": tables.sources,
    "price": tables.price_schedules,
    "chain": tables.chains,
    "split": tables.splits,
    "complexity": tables.complexity_routings,
    "strategy": tables.strategies,
    "scope": tables.scopes,
    "consumer": tables.consumers,
    "access_key": tables.access_keys,
    "user": tables.users,
    "api_token": tables.api_tokens,
}
"""The table of each kind that has versions, in the order in which their rows are locked."""


@dataclass(frozen=True, slots=True)
class Row:
    """What every thing has."""

    id: UUID
    name: str | None
    """None for things that bear no name."""
    is_deleted: bool


async def lock_thing(session: AsyncSession, kind: str, thing_id: UUID) -> Row:
    """Keep others from changing a thing, be it deleted, until the transaction ends.

    Raises:
        NotFoundError: there never was one, or nothing of it is left.
    """
    query = _rows(TABLES[kind]).where(TABLES[kind].c.id == thing_id).with_for_update()
    found = await rows.fetch_one(session, Row, query)
    if found is None:
        raise NotFoundError(kind, thing_id)
    return found


async def hold_things(session: AsyncSession, kind: str, ids: Collection[UUID]) -> dict[UUID, Row]:
    """Read things, deleted ones too, and keep them from being changed until the transaction ends."""
    table = TABLES[kind]
    query = _rows(table).where(rows.among(table.c.id, ids)).order_by(table.c.id)
    found = await rows.fetch_all(session, Row, query.with_for_update(read=True, key_share=True))
    return {row.id: row for row in found}


async def is_there(session: AsyncSession, kind: str, thing_id: UUID) -> bool:
    """Tell whether there is such a thing, be it deleted."""
    return await session.scalar(sa.select(sa.exists().where(TABLES[kind].c.id == thing_id))) or False


async def is_name_taken(session: AsyncSession, kind: str, name: str, *, but: UUID) -> bool:
    """Tell whether a living thing of the kind, other than the one that is named, has that name."""
    table = TABLES[kind]
    others = sa.exists().where(table.c.name == name, table.c.id != but, table.c.deleted_at.is_(None))
    return await session.scalar(sa.select(others)) or False


async def revive(session: AsyncSession, kind: str, thing_id: UUID, name: str) -> None:
    """Let a deleted row live again, under the name that it is to have; the rest of it is for the caller to write."""
    table = TABLES[kind]
    await session.execute(sa.update(table).where(table.c.id == thing_id).values(deleted_at=None, name=name))


def _rows(table: sa.Table) -> sa.Select[tuple[UUID, str | None, bool]]:
    name = table.c.get("name")
    named = sa.null().label("name") if name is None else name
    return sa.select(table.c.id, named, table.c.deleted_at.is_not(None).label("is_deleted"))


async def living(session: AsyncSession, kind: str) -> dict[UUID, int]:
    """Answer every living thing of the kind, with its version."""
    table = TABLES[kind]
    query = sa.select(table.c.id, table.c.version).where(table.c.deleted_at.is_(None)).order_by(table.c.id)
    return {row.id: row.version for row in await session.execute(query)}


async def outnumber_versions(session: AsyncSession) -> None:
    """Let every thing be in a later version than any that is kept of it."""
    for kind, table in TABLES.items():
        newest = (
            sa.select(versions.c.thing_id, sa.func.max(versions.c.number).label("number"))
            .where(versions.c.kind == kind)
            .group_by(versions.c.thing_id)
            .subquery()
        )
        is_behind = (newest.c.thing_id == table.c.id) & (newest.c.number >= table.c.version)
        await session.execute(sa.update(table).where(is_behind).values(version=newest.c.number + 1))
