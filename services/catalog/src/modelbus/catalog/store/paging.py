"""Pages by keyset: what follows a page is found by the last thing on it, so inserts in between shift nothing."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import msgspec
import sqlalchemy as sa

from modelbus.catalog.domain.errors import InvalidQueryError

BY_CREATION = "created_at"
"""The order of ids: they are made in order of creation."""


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page of a list is asked for, and in which order."""

    limit: int = 50
    sort: str = BY_CREATION
    """A field, with `-` before it for the greatest first."""
    value: Any = None
    after: UUID | None = None
    """The last thing of the page before, and its value of the field."""

    @classmethod
    def read(cls, limit: int, sort: str, cursor: str | None) -> Self:
        """Read what a caller asked for.

        Raises:
            InvalidQueryError: the cursor is none of ours, or belongs to another order.
        """
        if cursor is None:
            return cls(limit, sort)
        try:
            told = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=tuple[str, Any, UUID])
        except (msgspec.DecodeError, binascii.Error, UnicodeEncodeError) as error:
            raise InvalidQueryError("cursor", "must be the next_cursor of the page before") from error
        if told[0] != sort:
            raise InvalidQueryError("cursor", f"belongs to a list sorted by {told[0]!r}; ask with the same sort")
        return cls(limit, sort, told[1], told[2])

    @property
    def field(self) -> str:
        """The field that decides on the order."""
        return self.sort.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        """Whether the greatest comes first."""
        return self.sort.startswith("-")

    def cursor_after(self, thing: Any) -> str:
        """Answer the cursor that asks for what follows the thing."""
        value = None if self.field == BY_CREATION else getattr(thing, self.field)
        return base64.urlsafe_b64encode(msgspec.json.encode((self.sort, value, thing.id))).decode()


def page(
    query: sa.Select[Any],
    table: sa.FromClause,
    paging: Paging,
    expressions: Mapping[str, sa.ColumnElement[Any]] | None = None,
) -> sa.Select[Any]:
    """Take one row more than the page, so that the caller sees whether there are more.

    A field is a column of the table that is never null, or one of the `expressions`.

    Raises:
        InvalidQueryError: the cursor's value is none of the field's type.
    """
    keys: list[sa.ColumnElement[Any]] = [table.c.id]
    values: list[Any] = [paging.after]
    if paging.field != BY_CREATION:
        field = (expressions or {}).get(paging.field, table.c.get(paging.field))
        assert field is not None  # noqa: S101 - the door lets no other field in
        keys.insert(0, field)
        values.insert(0, _typed(paging.value, field) if paging.after else None)
    if paging.after is not None:
        place, last = (
            sa.tuple_(*keys),
            sa.tuple_(*(_bound(key, value) for key, value in zip(keys, values, strict=True))),
        )
        query = query.where(place < last if paging.is_descending else place > last)
    order = [key.desc() for key in keys] if paging.is_descending else keys
    return query.order_by(*order).limit(paging.limit + 1)


def _typed(value: Any, field: sa.ColumnElement[Any]) -> Any:
    try:
        return msgspec.convert(value, type=field.type.python_type, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidQueryError("cursor", "must be the next_cursor of the page before") from error


def _bound(key: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[Any]:
    return sa.bindparam(None, value, type_=key.type)
