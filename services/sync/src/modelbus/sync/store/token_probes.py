"""Which suppliers are asked for a token, and what that has taken today, in PostgreSQL."""

from collections.abc import Collection
from dataclasses import asdict, fields
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.token_probes import TokenProbe
from modelbus.sync.store.tables import token_probes


async def list_token_probes(session: AsyncSession, supplier_ids: Collection[UUID]) -> dict[UUID, TokenProbe]:
    """Answer how each of the suppliers is asked, of those that are."""
    found = await _all(session, sa.select(token_probes).where(token_probes.c.supplier_id.in_(supplier_ids)))
    return {each.supplier_id: each for each in found}


async def lock_token_probe(session: AsyncSession, supplier_id: UUID) -> TokenProbe | None:
    """Lock how the supplier is asked; None if it is not."""
    query = sa.select(token_probes).where(token_probes.c.supplier_id == supplier_id).with_for_update()
    return next(iter(await _all(session, query)), None)


async def save_token_probe(session: AsyncSession, probe: TokenProbe) -> None:
    """Write it, whether or not there is one."""
    values = asdict(probe)
    await session.execute(
        insert(token_probes).values(values).on_conflict_do_update(index_elements=["supplier_id"], set_=values)
    )


async def delete_token_probe(session: AsyncSession, supplier_id: UUID) -> None:
    """Ask the supplier for no more tokens."""
    await session.execute(sa.delete(token_probes).where(token_probes.c.supplier_id == supplier_id))


async def _all(session: AsyncSession, query: sa.Select[Any]) -> list[TokenProbe]:
    names = [field.name for field in fields(TokenProbe)]
    return [TokenProbe(**{name: getattr(row, name) for name in names}) for row in await session.execute(query)]
