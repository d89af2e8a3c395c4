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
from modelbus.integrity.domain.index import IndexHead, Known, Mark, Standing
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.store.tables import holders, index_head, models, sources

EVERYTHING = sys.maxsize
"""A revision that nothing known exceeds."""


_HEAD = (index_head.c.epoch, index_head.c.revision, index_head.c.loaded_revision)
_HEARD = sa.bindparam("heard", type_=sa.BigInteger)
_TAKE_TURN = (
    sa.update(index_head)
    .values(revision=sa.func.greatest(index_head.c.revision, _HEARD))
    .where(index_head.c.loaded_revision < _HEARD)
    .returning(*_HEAD)
)


async def take_turn(session: AsyncSession, revision: int) -> IndexHead | None:
    """Wait for our turn to change the index by what was told; None where a snapshot holds it already.

    The lock lasts until the commit: two replicas that change a target and a holder at once would each judge
    without seeing the other's change.
    """
    row = (await session.execute(_TAKE_TURN, {"heard": revision})).one_or_none()
    return None if row is None else _head(row)


async def lock_head(session: AsyncSession) -> IndexHead:
    """Wait for our turn to load the index anew."""
    return _head((await session.execute(sa.select(*_HEAD).with_for_update())).one())


async def save_head(session: AsyncSession, head: IndexHead) -> None:
    """Say where the index stands."""
    values = {"epoch": head.epoch, "revision": head.revision, "loaded_revision": head.loaded_revision}
    await session.execute(sa.update(index_head).values(values))


async def read_head(session: AsyncSession) -> IndexHead:
    """Read where the index stands."""
    return _head((await session.execute(sa.select(*_HEAD))).one())


async def read_standing(session: AsyncSession) -> Standing:
    """Read where the index stands, with the digest of each kind."""
    head = await read_head(session)
    digests = {"model": await _digest(session, models), "source": await _digest(session, sources)}
    by_kind = sa.select(holders.c.kind, sa.func.sum(holders.c.digest)).group_by(holders.c.kind)
    totals = {kind: int(total) for kind, total in await session.execute(by_kind)}
    digests |= {kind.value: digest_text(totals.get(kind, 0)) for kind in HolderKind}
    return Standing(head.epoch, head.revision, digests)


async def _digest(session: AsyncSession, table: sa.Table) -> str:
    return digest_text(int(await session.scalar(sa.select(sa.func.sum(table.c.digest))) or 0))


def _head(row: Any) -> IndexHead:
    return IndexHead(row.epoch, row.revision, row.loaded_revision)


async def list_marks(session: AsyncSession, table: sa.Table) -> dict[UUID, Mark]:
    """List revision and digest of everything known in the table."""
    rows = await session.execute(sa.select(table.c.id, table.c.revision, table.c.digest))
    return {row.id: Mark(row.revision, int(row.digest)) for row in rows}


async def lower_revisions(session: AsyncSession, table: sa.Table, revision: int) -> None:
    """Let nothing be known as of a later revision, so that what is told next counts as news."""
    await session.execute(sa.update(table).values(revision=revision).where(table.c.revision > revision))


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
