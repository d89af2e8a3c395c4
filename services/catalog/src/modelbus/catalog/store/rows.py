"""Rows and domain objects bear the same field names, so one way leads from either to the other."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


async def fetch_all[T](session: AsyncSession, kind: type[T], query: sa.Select[Any]) -> list[T]:
    """Run the query and build one object per row."""
    return [kind(**row._mapping) for row in await session.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name


async def fetch_one[T](session: AsyncSession, kind: type[T], query: sa.Select[Any]) -> T | None:
    """Run the query and build the object of its only row; None when there is none."""
    row = (await session.execute(query)).one_or_none()
    return None if row is None else kind(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def insert_all(session: AsyncSession, table: sa.Table, things: Iterable["DataclassInstance"]) -> None:
    """Insert the objects."""
    values = [asdict(thing) for thing in things]
    if values:
        await session.execute(sa.insert(table), values)


async def update_all(session: AsyncSession, table: sa.Table, things: Iterable["DataclassInstance"]) -> None:
    """Write every field of the objects to their rows."""
    values = [{f"new_{name}": value for name, value in asdict(thing).items()} for thing in things]
    if not values:
        return
    columns: dict[str, Any] = {
        name: sa.bindparam(f"new_{name}") for name in (column.name for column in table.c) if name != "id"
    }
    statement = sa.update(table).where(table.c.id == sa.bindparam("new_id")).values(columns)
    # The Core connection sends one prepared statement for all; the session would look for ORM classes.
    await (await session.connection()).execute(statement, values)


def among(column: sa.ColumnElement[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Compare with any of the values, however many: one array parameter, where IN takes a parameter for each."""
    return column == sa.any_(sa.bindparam(None, list(values), type_=ARRAY(column.type)))
