"""The index's head: where the copy of the catalog stands."""

import sys
from collections.abc import Collection
from datetime import date
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.feed import digest_text
from modelbus.integrity.domain.index import IndexHead, Standing
from modelbus.integrity.store import known
from modelbus.integrity.store.tables import index_head

EVERYTHING = sys.maxsize
"""A revision that nothing known exceeds."""


_HEAD = (index_head.c.epoch, index_head.c.revision, index_head.c.loaded_revision)
_HEARD = sa.bindparam("heard", type_=sa.BigInteger)
_TAKE_TURN = sa.update(index_head).values(revision=sa.func.greatest(index_head.c.revision, _HEARD)).returning(*_HEAD)


async def take_turn(session: AsyncSession, revision: int) -> IndexHead:
    """Wait for our turn to change the index by what was told; what a snapshot holds already changes nothing.

    The lock lasts until the commit: two replicas that change a target and a holder at once would each judge
    without seeing the other's change.
    """
    return _head((await session.execute(_TAKE_TURN, {"heard": revision})).one())


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


async def read_standing(session: AsyncSession, kinds: Collection[str]) -> Standing:
    """Read where the index stands, with the digest of each kind."""
    head = await read_head(session)
    totals = await known.list_digests(session)
    return Standing(head.epoch, head.revision, {kind: digest_text(totals.get(kind, 0)) for kind in kinds})


async def read_judged_on(session: AsyncSession) -> date | None:
    """Read the day as of which everything was judged last."""
    return await session.scalar(sa.select(index_head.c.judged_on))


async def save_judged_on(session: AsyncSession, day: date) -> None:
    """Say as of which day everything was judged."""
    await session.execute(sa.update(index_head).values(judged_on=day))


def _head(row: Any) -> IndexHead:
    return IndexHead(row.epoch, row.revision, row.loaded_revision)
