"""Rows and domain objects bear the same field names, so one way leads from either to the other."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import bulk

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PORTION = 500
"""Rows that are read at a time where there may be a hundred thousand."""


async def fetch_all[T](session: AsyncSession, kind: type[T], query: sa.Select[Any]) -> list[T]:
    """Run the query and build one object per row."""
    result = await session.execute(query)
    names = list(result.keys())
    return [kind(**dict(zip(names, row, strict=True))) for row in result]


async def portions[T](
    session: AsyncSession, kind: type[T], query: sa.Select[Any], table: sa.Table
) -> AsyncIterator[list[T]]:
    """Read the query's rows some at a time, in order of creation; all must be seen by one consistent view."""
    following = query
    while found := await fetch_all(session, kind, following.order_by(table.c.id).limit(PORTION)):
        yield found
        following = query.where(table.c.id > getattr(found[-1], table.c.id.name))


async def fetch_one[T](session: AsyncSession, kind: type[T], query: sa.Select[Any]) -> T | None:
    """Run the query and build the object of its only row; None when there is none."""
    row = (await session.execute(query)).one_or_none()
    return None if row is None else kind(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def insert_all(session: AsyncSession, table: sa.Table, things: Sequence["DataclassInstance"]) -> None:
    """Insert the objects."""
    if things:
        names = _columns(table, things[0])
        await bulk.insert(session, table, names, map(attrgetter(*names), things))


async def update_all(session: AsyncSession, table: sa.Table, things: Sequence["DataclassInstance"]) -> None:
    """Write every field of the objects to their rows."""
    if not things:
        return
    names = _columns(table, things[0])
    statement = sa.update(table).where(table.c.id == sa.bindparam("new_id"))
    statement = statement.values({name: sa.bindparam(f"new_{name}") for name in names if name != "id"})
    values = [{f"new_{name}": getattr(thing, name) for name in names} for thing in things]
    # The Core connection sends one prepared statement for all; the session would look for ORM classes.
    await (await session.connection()).execute(statement, values)


def _columns(table: sa.Table, thing: "DataclassInstance") -> list[str]:
    # Each value by its name and not by `asdict`, whose deep copies cost more than all the rest of writing.
    known = {field.name for field in fields(thing)}
    return [column.name for column in table.c if column.name in known]


def among(column: sa.ColumnElement[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Compare with any of the values, however many: one array parameter, where IN takes a parameter for each."""
    return column == sa.any_(sa.bindparam(None, list(values), type_=ARRAY(column.type)))
