"""What a kept listing offers: names and prices, without the rest of it."""

import asyncio
import zlib
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.price_review import PER_TOKENS
from modelbus.sync.domain.suspicions import Offered
from modelbus.sync.store.tables import listings


class _Held(msgspec.Struct):
    listed: dict[str, Any]


class _Model(msgspec.Struct):
    upstream_name: str
    cost: dict[str, Any]
    held: _Held | None = None


class _Listing(msgspec.Struct):
    models: list[_Model]
    ignored: list[str] = []


_LISTINGS = msgspec.json.Decoder(_Listing)


async def find_offered(session: AsyncSession, run_id: UUID) -> Offered | None:
    """Answer what the listing of the run says, held prices as they were listed; None when it is not kept.

    Names that a rule left out then are there too, without prices.
    """
    body = await session.scalar(sa.select(listings.c.body).where(listings.c.run_id == run_id))
    return None if body is None else await asyncio.to_thread(_read, body)


def _read(body: bytes) -> Offered:
    listing = _LISTINGS.decode(zlib.decompress(body))
    offered = {each.upstream_name: _prices(each.held.listed if each.held else each.cost) for each in listing.models}
    return offered | {name: {} for name in listing.ignored}


def _prices(cost: dict[str, Any]) -> dict[str, Decimal]:
    if cost.get("is_dynamic"):
        return {}
    return {price: Decimal(str(cost[price])) for price in PER_TOKENS if cost.get(price) is not None}
