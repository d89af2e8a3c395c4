"""Where sealed secrets are kept: the one list of all columns that a master key must open."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.tables import credentials, idempotency, signing_keys

SEALED: tuple[sa.Column[Any], ...] = (
    credentials.c.sealed,
    signing_keys.c.sealed,
    idempotency.rows.c.digest,
    idempotency.rows.c.answer,
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """One sealed secret, and the key of its row."""

    key: tuple[Any, ...]
    text: str


async def lock_sealed(
    session: AsyncSession, column: sa.Column[Any], after: tuple[Any, ...] | None, limit: int
) -> list[Sealed]:
    """Read some secrets of a column in order of their rows, and keep others from changing those.

    `after` is the key of the row before; None begins with the first.
    """
    keys = list(column.table.primary_key)
    query = sa.select(column, *keys).where(column.is_not(None), column != "").order_by(*keys).limit(limit)
    if after is not None:
        last = (sa.bindparam(None, value, type_=key.type) for key, value in zip(keys, after, strict=True))
        query = query.where(sa.tuple_(*keys) > sa.tuple_(*last))
    return [Sealed(tuple(row[1:]), row[0]) for row in await session.execute(query.with_for_update())]


async def save_sealed(session: AsyncSession, column: sa.Column[Any], resealed: Sequence[Sealed]) -> None:
    """Write the secrets in place of those that the rows hold."""
    if not resealed:
        return
    keys = list(column.table.primary_key)
    is_row = (key == sa.bindparam(f"key_{place}") for place, key in enumerate(keys))
    statement = sa.update(column.table).where(*is_row).values({column.name: sa.bindparam("text")})
    values = [{"text": each.text, **{f"key_{place}": part for place, part in enumerate(each.key)}} for each in resealed]
    await (await session.connection()).execute(statement, values)
