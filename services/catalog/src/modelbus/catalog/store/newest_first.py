"""Pages of what only grows, the newest first: found by the keys of the last line of the page before."""

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
class NewestFirst:
    """Which page is asked for."""

    limit: int = 50
    before: tuple[Any, ...] | None = None
    """The keys of the last line of the page before, as JSON has them."""

    @classmethod
    def read(cls, limit: int, cursor: str | None) -> Self:
        """Read what a caller asked for.

        Raises:
            InvalidQueryError: the cursor is none of ours.
        """
        if cursor is None:
            return cls(limit)
        try:
            told = msgspec.json.decode(base64.urlsafe_b64decode(cursor.encode()), type=tuple[Any, ...])
        except (msgspec.DecodeError, binascii.Error, UnicodeEncodeError) as error:
            raise InvalidQueryError("cursor", _MALFORMED) from error
        return cls(limit, told)


def cursor_of(*keys: Any) -> str:
    """Answer the cursor that asks for what is older than the line with these keys."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode()


def newest_first(query: sa.Select[Any], keys: Sequence[sa.ColumnElement[Any]], page: NewestFirst) -> sa.Select[Any]:
    """Take one row more than the page, so that the caller sees whether there are more.

    Raises:
        InvalidQueryError: the cursor belongs to another list.
    """
    if page.before is not None:
        try:
            last = [
                msgspec.convert(value, type=key.type.python_type) for key, value in zip(keys, page.before, strict=True)
            ]
        except (ValueError, msgspec.ValidationError) as error:
            raise InvalidQueryError("cursor", _MALFORMED) from error
        bound = [sa.bindparam(None, value, type_=key.type) for key, value in zip(keys, last, strict=True)]
        query = query.where(sa.tuple_(*keys) < sa.tuple_(*bound))
    return query.order_by(*(key.desc() for key in keys)).limit(page.limit + 1)
