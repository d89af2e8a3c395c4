"""Comparing with any number of ids and keys."""

from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from modelbus.integrity.domain.index import Key


def among(column: sa.ColumnElement[UUID], ids: Iterable[UUID]) -> sa.ColumnElement[bool]:
    """Compare with any number of ids in one parameter; a list of parameters has a limit."""
    return column == sa.any_(sa.literal(list(ids), ARRAY(sa.Uuid)))


def among_keys(
    kind: sa.ColumnElement[str], record_id: sa.ColumnElement[UUID], keys: Iterable[Key]
) -> sa.ColumnElement[bool]:
    """Compare with any number of keys; a kind has few parameters, however many ids."""
    by_kind: dict[str, list[UUID]] = {}
    for of_kind, each in keys:
        by_kind.setdefault(of_kind, []).append(each)
    return sa.or_(sa.false(), *((kind == of_kind) & among(record_id, ids) for of_kind, ids in by_kind.items()))
