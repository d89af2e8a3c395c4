"""The index's head, and what is the same for every kind of known thing: marks, digests, deletion."""

import sys
from collections.abc import Collection
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.dialects.postgresql.dml import Insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.feed import digest_text
from modelbus.integrity.domain.index import Known, Mark, Standing
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.store.tables import holders, index_head, models, sources

EVERYTHING = sys.maxsize
"""A revision that nothing known exceeds."""


async def lock_index(session: AsyncSession, revision: int) -> bool:
    """Wait for our turn to change the index and note the revision; tell whether the index is loaded.

    The lock lasts until the commit: two replicas that change a target and a holder at once would each judge
    without seeing the other's change.
    """
    heard = sa.func.greatest(index_head.c.revision, revision)
    turn = await session.execute(sa.update(index_head).values(revision=heard).returning(index_head.c.epoch))
    return turn.scalar_one() is not None


async def save_head(session: AsyncSession, epoch: UUID, revision: int) -> None:
    """Say that the index is the catalog's at that revision."""
    await session.execute(sa.update(index_head).values(epoch=epoch, revision=revision))


async def read_head(session: AsyncSession) -> tuple[UUID | None, int]:
    """Read the index's epoch, None while it was never loaded, and the newest revision heard."""
    row = (await session.execute(sa.select(index_head.c.epoch, index_head.c.revision))).one()
    return row.epoch, row.revision


async def read_standing(session: AsyncSession) -> Standing:
    """Read where the index stands, with the digest of each kind."""
    epoch, revision = await read_head(session)
    digests = {"model": await _digest(session, models), "source": await _digest(session, sources)}
    by_kind = sa.select(holders.c.kind, sa.func.sum(holders.c.digest)).group_by(holders.c.kind)
    totals = {kind: int(total) for kind, total in await session.execute(by_kind)}
    digests |= {kind.value: digest_text(totals.get(kind, 0)) for kind in HolderKind}
    return Standing(epoch, revision, digests)


async def _digest(session: AsyncSession, table: sa.Table) -> str:
    return digest_text(int(await session.scalar(sa.select(sa.func.sum(table.c.digest))) or 0))


async def list_marks(session: AsyncSession, table: sa.Table) -> dict[UUID, Mark]:
    """List revision and digest of everything known in the table."""
    rows = await session.execute(sa.select(table.c.id, table.c.revision, table.c.digest))
    return {row.id: Mark(row.revision, int(row.digest)) for row in rows}


async def raise_revisions(session: AsyncSession, table: sa.Table, revision: int, *, not_above: int) -> None:
    """Let everything be known as of that revision, except what is known as of one above the limit."""
    older = (table.c.revision <= not_above) & (table.c.revision != revision)
    await session.execute(sa.update(table).values(revision=revision).where(older))


def upsert(table: sa.Table) -> Insert:
    """Write the statement that inserts a row of the table, or overwrites the one with the same id."""
    statement = insert(table)
    fresh = {column.name: statement.excluded[column.name] for column in table.columns if not column.primary_key}
    return statement.on_conflict_do_update(index_elements=[table.c.id], set_=fresh)


def among(column: sa.Column[UUID], ids: Collection[UUID]) -> sa.ColumnElement[bool]:
    """Compare with any number of ids in one parameter; a list of parameters has a limit."""
    return column == sa.any_(sa.literal(list(ids), ARRAY(sa.Uuid)))


def known_columns(row: Any) -> dict[str, Any]:
    """Read the columns that every known thing has."""
    return {"id": row.id, "revision": row.revision, "record": row.record, "digest": int(row.digest)}


def known_values(known: Known) -> dict[str, Any]:
    """Write the columns that every known thing has."""
    return {
        "id": known.id,
        "revision": known.revision,
        "record": known.record,
        "digest": Decimal(known.digest),
    }
