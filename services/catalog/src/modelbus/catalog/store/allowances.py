"""What a holder may use: every model or scope, or those alone that it names, each in a row of its own."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.references import Notice, StaleModels, notices_of
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.tables import models, scopes


@dataclass(frozen=True, slots=True)
class Allowance:
    """One kind of thing that holders of one table name."""

    flag: sa.Column[Any]
    """Whether the holder is restricted at all."""
    holder: sa.Column[Any]
    """Names the holder."""
    target: sa.Column[Any]
    """Names what it may use."""

    @property
    def ids(self) -> sa.ColumnElement[Any]:
        """What the holder names, in its order; null where it may use all."""
        named = sa.select(self.target).where(self._is_of_holder).order_by(self.holder.table.c.position)
        listed = sa.func.array(named.scalar_subquery(), type_=ARRAY(sa.Uuid))
        return sa.case((self.flag, listed)).label(f"{self.target.name}s")

    def names(self, target_id: UUID) -> sa.ColumnElement[bool]:
        """Tell whether the holder names it."""
        return sa.exists().where(self._is_of_holder, self.target == target_id)

    def lets(self, target_id: UUID) -> sa.ColumnElement[bool]:
        """Tell whether the holder may use it."""
        return ~self.flag | self.names(target_id)

    @property
    def has_stale_model(self) -> sa.ColumnElement[bool]:
        """Whether one of the models that the holder names is not available."""
        joined = self.holder.table.join(models, models.c.id == self.target)
        stale = sa.select(1).select_from(joined).where(self._is_of_holder, ~models.c.is_available)
        return sa.exists(stale.correlate(self.flag.table))

    async def save(self, session: AsyncSession, holder_id: UUID, target_ids: Sequence[UUID] | None) -> None:
        """Write what the holder names in place of what it named."""
        places = [{"position": place, self.target.name: each} for place, each in enumerate(target_ids or [])]
        await references.replace_places(session, self.holder, holder_id, places)

    @property
    def _is_of_holder(self) -> sa.ColumnElement[bool]:
        return self.holder == self.flag.table.c.id


def select_holders(*allowances: Allowance) -> sa.Select[Any]:
    """Select the living holders of a table whole, with what they may use."""
    table = allowances[0].flag.table
    flags = {allowance.flag.name for allowance in allowances}
    columns = (column for column in table.c if column.name not in flags)
    return sa.select(*columns, *(allowance.ids for allowance in allowances)).where(table.c.deleted_at.is_(None))


async def hold_scopes(session: AsyncSession, ids: Collection[UUID]) -> set[UUID]:
    """Answer which of the ids are of living scopes, and keep those from being deleted until the transaction ends."""
    query = sa.select(scopes.c.id).where(rows.among(scopes.c.id, ids), scopes.c.deleted_at.is_(None))
    return set(await session.scalars(query.order_by(scopes.c.id).with_for_update(read=True, key_share=True)))


async def stale_scopes(session: AsyncSession, ids: Collection[UUID]) -> StaleModels:
    """Answer those of the scopes that are not in service, with their names and why."""
    why = sa.case((scopes.c.deleted_at.is_not(None), "deleted"), else_="disabled")
    is_away = scopes.c.deleted_at.is_not(None) | ~scopes.c.is_active
    query = sa.select(scopes.c.id, scopes.c.name, why.label("reason")).where(rows.among(scopes.c.id, ids), is_away)
    return {row.id: (row.name, row.reason) for row in await session.execute(query)}


def notices_of_scopes(scope_ids: Sequence[UUID], stale: StaleModels) -> list[Notice]:
    """Make the notices of a set of scopes."""
    return notices_of((f"scope_ids.{place}", *stale[each]) for place, each in enumerate(scope_ids) if each in stale)
