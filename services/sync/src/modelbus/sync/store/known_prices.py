"""Prices that are known from listings that the catalog has applied, of one supplier or of all."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.runs import Status
from modelbus.sync.store.tables import listings, runs


class Priced(msgspec.Struct):
    """A model of a kept listing, as far as its price goes."""

    upstream_name: str
    cost: dict[str, Any]


class _Listing(msgspec.Struct):
    models: list[Priced]


_LISTINGS = msgspec.json.Decoder(_Listing)


async def applied_prices(session: AsyncSession) -> AsyncIterator[tuple[UUID, list[Priced]]]:
    """Read what the newest applied listing of each supplier says, one supplier after another."""
    ranked = (
        sa.select(listings.c.run_id, listings.c.supplier_id)
        .join(runs, runs.c.id == listings.c.run_id)
        .where(runs.c.status == Status.APPLIED)
        .ext(distinct_on(listings.c.supplier_id))
        .order_by(listings.c.supplier_id, listings.c.fetched_at.desc())
    )
    for run_id, supplier_id in (await session.execute(ranked)).all():
        body = await session.scalar(sa.select(listings.c.body).where(listings.c.run_id == run_id))
        if body is not None:
            yield supplier_id, await asyncio.to_thread(_read, body)


async def newest_applied(session: AsyncSession, supplier_id: UUID) -> UUID | None:
    """Answer the run whose listing was the supplier's last to be applied, of those that are kept."""
    query = sa.select(listings.c.run_id).join(runs, runs.c.id == listings.c.run_id)
    applied = query.where(listings.c.supplier_id == supplier_id, runs.c.status == Status.APPLIED)
    run_id: UUID | None = await session.scalar(applied.order_by(listings.c.fetched_at.desc()).limit(1))
    return run_id


def _read(body: bytes) -> list[Priced]:
    return _LISTINGS.decode(zlib.decompress(body)).models
