"""Writing of schedules: what differs of however many, by a fixed number of statements."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, Range, insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.prices import UNITS, Period, PeriodState, Schedule
from modelbus.catalog.store.prices import Book
from modelbus.catalog.store.tables import price_schedules
from modelbus.chassis import bulk

_CHANGING = ("is_open", "state", *UNITS, "is_dynamic", "updated_at")


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of a schedule."""

    before: Schedule
    """As it was read."""
    after: Schedule
    now: datetime


@dataclass(frozen=True, slots=True)
class _Row:
    period: Period
    owner_id: UUID
    state: PeriodState
    at: datetime

    def column(self, name: str) -> Any:
        if name in {"state", "owner_id"}:
            return getattr(self, name)
        if name == "valid":
            return Range(self.period.begins, self.period.ends)
        if name in {"created_at", "updated_at"}:
            return self.at
        return getattr(
            self.period if name in {"id", "begins", "ends", "is_open", "origin"} else self.period.amounts, name
        )


async def save_turns(session: AsyncSession, book: Book, turns: Sequence[Turn]) -> None:
    """Write what differs; no row is deleted, and none that is over is touched."""
    # First what makes way, then what comes: the constraint judges each statement as a whole.
    await _update(session, book, [row for turn in turns for row in _changed(turn)])
    await _insert(session, book, [row for turn in turns for row in _added(turn)])
    await _count(session, [turn.after for turn in turns if turn.after.version != turn.before.version])


async def begin_periods(session: AsyncSession, book: Book, begun: Iterable[tuple[UUID, Period]]) -> None:
    """Write the first prices of what is new."""
    rows = [_Row(period, owner_id, PeriodState.IN_FORCE, period.begins) for owner_id, period in begun]
    await _insert(session, book, rows)


def _changed(turn: Turn) -> Iterable[_Row]:
    after = {period.id: period for period in turn.after.periods}
    for period in turn.before.periods:
        was = PeriodState.IN_FORCE if period.id == turn.before.in_force_id else PeriodState.COMING
        present = after.get(period.id)
        if present is None:
            gone = PeriodState.OVER if period.begins < turn.now else PeriodState.WITHDRAWN
            yield _Row(period, turn.after.id, gone, turn.now)
        elif present != period or _state(present, turn.now) != was:
            yield _Row(present, turn.after.id, _state(present, turn.now), turn.now)


def _added(turn: Turn) -> Iterable[_Row]:
    known = {period.id for period in turn.before.periods}
    for period in turn.after.periods:
        if period.id not in known:
            yield _Row(period, turn.after.id, _state(period, turn.now), turn.now)


def _state(period: Period, now: datetime) -> PeriodState:
    if period.begins > now:
        return PeriodState.COMING
    return PeriodState.IN_FORCE if period.is_at(now) else PeriodState.OVER


async def _insert(session: AsyncSession, book: Book, rows: Sequence[_Row]) -> None:
    columns = ("id", "valid", "origin", "created_at", *_CHANGING)
    values = ((row.owner_id, *(row.column(name) for name in columns)) for row in rows)
    await bulk.insert(session, book.table, (book.owner.name, *columns), values)


async def _update(session: AsyncSession, book: Book, rows: Sequence[_Row]) -> None:
    if not rows:
        return
    moment, columns = sa.DateTime(timezone=True), book.table.c
    types: dict[str, Any] = {"id": sa.Uuid(), "begins": moment, "ends": moment}
    types |= {name: columns[name].type for name in _CHANGING}
    arrays = [sa.bindparam(None, [row.column(name) for row in rows], type_=ARRAY(kind)) for name, kind in types.items()]
    given = sa.func.unnest(*arrays).table_valued(*(sa.column(name, kind) for name, kind in types.items()))
    new = given.render_derived("given")
    valid = sa.func.tstzrange(new.c.begins, new.c.ends)
    statement = sa.update(book.table).where(columns.id == new.c.id)
    await session.execute(statement.values(valid=valid, **{name: new.c[name] for name in _CHANGING}))


async def _count(session: AsyncSession, schedules: Sequence[Schedule]) -> None:
    if not schedules:
        return
    moment = sa.DateTime(timezone=True)
    types: dict[str, Any] = {"id": sa.Uuid(), "version": sa.Integer(), "updated_at": moment}
    arrays = [
        sa.bindparam(None, [getattr(each, name) for each in schedules], type_=ARRAY(kind))
        for name, kind in types.items()
    ]
    given = sa.func.unnest(*arrays).table_valued(*(sa.column(name, kind) for name, kind in types.items()))
    new = given.render_derived("given").c
    added = insert(price_schedules).from_select(
        ["id", "version", "updated_at", "created_at"], sa.select(new.id, new.version, new.updated_at, new.updated_at)
    )
    told = {name: added.excluded[name] for name in ("version", "updated_at")}
    await session.execute(added.on_conflict_do_update(index_elements=["id"], set_=told))
