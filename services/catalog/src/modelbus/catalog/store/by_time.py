"""Pages of what only grows, in order of time: found by the keys of the last line of the page before."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import sqlalchemy as sa

from modelbus.catalog.domain.errors import InvalidQueryError

_MALFORMED = "must be the next_cursor of the page before"


@dataclass(frozen=True, slots=True)
class ByTime:
    """Which page is asked for."""

    limit: int = 50
    last: tuple[Any, ...] | None = None
    """The keys of the last line of the page before, as JSON has them."""
    oldest_first: bool = False

    @classmethod
    def read(cls, limit: int, cursor: str | None, *, oldest_first: bool = False) -> Self:
        """Read what a caller asked for.

        Raises:
            InvalidQueryError: the cursor is none of ours.
        """
        if cursor is None:
            return cls(limit, oldest_first=oldest_first)
        try:
            told = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=tuple[Any, ...])
        except (msgspec.DecodeError, binascii.Error, UnicodeEncodeError) as error:
            raise InvalidQueryError("cursor", _MALFORMED) from error
        return cls(limit, told, oldest_first)


def cursor_of(*keys: Any) -> str:
    """Answer the cursor that asks for what follows the line with these keys."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode()


def by_time(query: sa.Select[Any], keys: Sequence[sa.ColumnElement[Any]], page: ByTime) -> sa.Select[Any]:
    """Take one row more than the page, so that the caller sees whether there are more.

    Raises:
        InvalidQueryError: the cursor belongs to another list.
    """
    if page.last is not None:
        try:
            last = [
                msgspec.convert(value, type=key.type.python_type) for key, value in zip(keys, page.last, strict=True)
            ]
        except (ValueError, msgspec.ValidationError) as error:
            raise InvalidQueryError("cursor", _MALFORMED) from error
        bound = [sa.bindparam(None, value, type_=key.type) for key, value in zip(keys, last, strict=True)]
        here, there = sa.tuple_(*keys), sa.tuple_(*bound)
        query = query.where(here > there if page.oldest_first else here < there)
    order = (key.asc() if page.oldest_first else key.desc() for key in keys)
    return query.order_by(*order).limit(page.limit + 1)
