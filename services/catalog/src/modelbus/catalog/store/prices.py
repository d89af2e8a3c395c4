"""Queries about prices: what is in force, now or at any time, and whole schedules.

To show beside models what they are charged now, join `charges_now`, which has at most one row for each:

    query.outerjoin(charges_now, charges_now.c.model_id == models.c.id)

Its columns are the units by name, `is_dynamic`, `begins`, `ends` and `price_id`. What a source costs now is its own
`cost`, always; for what a model costs over its sources, and its margin, see `store.margins`.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.prices import UNITS, Amounts, Charge, Period, PeriodState, Schedule
from modelbus.catalog.store import rows
from modelbus.catalog.store.by_time import ByTime, by_time
from modelbus.catalog.store.tables import charge_prices, cost_prices, price_schedules

_LIVING = (PeriodState.COMING, PeriodState.IN_FORCE)


@dataclass(frozen=True, slots=True)
class Book:
    """The prices of one kind of thing."""

    table: sa.Table
    owner: sa.Column[UUID]
    """The model or source that a price is of."""

    @property
    def begins(self) -> sa.ColumnElement[datetime]:
        """When a price comes into force."""
        return sa.func.lower(self.table.c.valid, type_=sa.DateTime(timezone=True))

    @property
    def ends(self) -> sa.ColumnElement[datetime]:
        """When it ceases."""
        return sa.func.upper(self.table.c.valid, type_=sa.DateTime(timezone=True))

    def select(self) -> sa.Select[Any]:
        """Read prices with their periods."""
        names = ("id", "is_open", "state", *UNITS, "is_dynamic", "origin", "created_at")
        return sa.select(
            self.owner.label("owner_id"),
            self.begins.label("begins"),
            self.ends.label("ends"),
            *(self.table.c[name] for name in names),
        )

    def empty(self, owner_id: UUID, version: int) -> Schedule:
        """Answer the schedule of what has no prices yet."""
        is_model = self is CHARGES
        return Schedule(owner_id, owner_id if is_model else None, None if is_model else owner_id, version=version)


CHARGES = Book(charge_prices, charge_prices.c.model_id)
COSTS = Book(cost_prices, cost_prices.c.source_id)

charges_now = (
    sa.select(
        charge_prices.c.model_id,
        charge_prices.c.id.label("price_id"),
        CHARGES.begins.label("begins"),
        CHARGES.ends.label("ends"),
        *(charge_prices.c[name] for name in ("is_open", *UNITS, "is_dynamic", "origin")),
    )
    .where(charge_prices.c.state == PeriodState.IN_FORCE)
    .subquery("charges_now")
)
"""What each model is charged now."""


@dataclass(frozen=True, slots=True)
class KeptPeriod(Period):
    """A price as it is kept, whatever became of it."""

    state: str
    created_at: datetime


async def charges_of(
    session: AsyncSession, model_ids: Collection[UUID], at: datetime | None = None
) -> dict[UUID, Period]:
    """Read what models are charged, now or at some time; one without a price is left out."""
    return await _prices_of(session, CHARGES, model_ids, at)


async def costs_of(
    session: AsyncSession, source_ids: Collection[UUID], at: datetime | None = None
) -> dict[UUID, Period]:
    """Read what sources cost, now or at some time; one whose cost is unknown is left out."""
    return await _prices_of(session, COSTS, source_ids, at)


async def schedules_of(session: AsyncSession, book: Book, owner_ids: Collection[UUID]) -> dict[UUID, Schedule]:
    """Read what is in force and to come, of each; the caller holds their models."""
    numbered = sa.select(price_schedules.c.id, price_schedules.c.version)
    found = await session.execute(numbered.where(rows.among(price_schedules.c.id, owner_ids)))
    versions = {row.id: row.version for row in found}
    query = book.select().where(rows.among(book.owner, owner_ids), book.table.c.state.in_(_LIVING))
    periods: dict[UUID, list[Period]] = {}
    in_force: dict[UUID, UUID] = {}
    for row in await session.execute(query.order_by(book.begins)):
        periods.setdefault(row.owner_id, []).append(period_of(row))
        if row.state == PeriodState.IN_FORCE:
            in_force[row.owner_id] = row.id
    return {
        key: book.empty(key, versions.get(key, 0)).holding(periods.get(key, ()), in_force.get(key)) for key in owner_ids
    }


async def find_owner(session: AsyncSession, price_id: UUID) -> tuple[Book, UUID]:
    """Find the model or source that a price is of.

    Raises:
        NotFoundError: there never was such a price.
    """
    for book in (CHARGES, COSTS):
        owner_id = await session.scalar(sa.select(book.owner).where(book.table.c.id == price_id))
        if owner_id is not None:
            return book, owner_id
    raise NotFoundError("price", price_id)


async def list_periods(session: AsyncSession, book: Book, owner_id: UUID, *, page: ByTime) -> list[KeptPeriod]:
    """List every price that a thing had, has and will have, in order of time and one more than the page holds."""
    query = by_time(book.select().where(book.owner == owner_id), [book.begins, book.table.c.id], page)
    return [kept_period_of(row) for row in await session.execute(query)]


async def living_periods(session: AsyncSession, book: Book, owner_id: UUID) -> list[KeptPeriod]:
    """Read the price in force and those to come, in order."""
    query = book.select().where(book.owner == owner_id, book.table.c.state.in_(_LIVING))
    return [kept_period_of(row) for row in await session.execute(query.order_by(book.begins))]


async def version_of(session: AsyncSession, owner_id: UUID) -> int:
    """Answer how often somebody has set prices of the thing by hand."""
    query = sa.select(price_schedules.c.version).where(price_schedules.c.id == owner_id)
    return await session.scalar(query) or 0


async def due(session: AsyncSession, book: Book, now: datetime, *, limit: int) -> list[UUID]:
    """Find models or sources of which a price is to begin, or to end, by now."""
    begin = sa.select(book.owner).where(book.table.c.state == PeriodState.COMING, book.begins <= now)
    is_limited = ~sa.func.upper_inf(book.table.c.valid)
    end = sa.select(book.owner).where(book.table.c.state == PeriodState.IN_FORCE, is_limited, book.ends <= now)
    found = sa.union(begin.limit(limit), end.limit(limit)).limit(limit)
    return list(await session.scalars(found))


async def every_charge(session: AsyncSession) -> AsyncIterator[list[Charge]]:
    """Read what every model is charged now, some at a time."""
    query = CHARGES.select().where(charge_prices.c.state == PeriodState.IN_FORCE).order_by(charge_prices.c.model_id)
    following = query
    while found := [
        Charge(row.owner_id, period_of(row)) for row in await session.execute(following.limit(rows.PORTION))
    ]:
        yield found
        following = query.where(charge_prices.c.model_id > found[-1].id)


def period_of(row: sa.Row[Any]) -> Period:
    """Build a period of a row that `Book.select` read."""
    return Period(row.id, row.begins, row.ends, row.is_open, amounts_of(row), row.origin)


def kept_period_of(row: sa.Row[Any]) -> KeptPeriod:
    """Build a period with what became of it."""
    period = (row.id, row.begins, row.ends, row.is_open, amounts_of(row), row.origin)
    return KeptPeriod(*period, row.state, row.created_at)


def amounts_of(row: sa.Row[Any]) -> Amounts:
    """Build amounts of a row with a column for each unit."""
    return Amounts(**{unit: getattr(row, unit) for unit in UNITS}, is_dynamic=row.is_dynamic)


async def _prices_of(
    session: AsyncSession, book: Book, owner_ids: Collection[UUID], at: datetime | None
) -> dict[UUID, Period]:
    query = book.select()
    if at is None:
        query = query.where(book.table.c.state == PeriodState.IN_FORCE, rows.among(book.owner, owner_ids))
    else:
        # Joined and not compared with an array, which the index over periods can't be asked for.
        ids = sa.bindparam(None, list(owner_ids), type_=ARRAY(sa.Uuid))
        wanted = sa.func.unnest(ids).table_valued(sa.column("id", sa.Uuid)).render_derived("wanted")
        query = query.join(wanted, wanted.c.id == book.owner).where(
            book.table.c.state != PeriodState.WITHDRAWN,
            book.table.c.valid.contains(sa.bindparam(None, at, type_=sa.DateTime(timezone=True))),
        )
    return {row.owner_id: period_of(row) for row in await session.execute(query)}
