"""What the world is told of settings in free form: always as PostgreSQL's `jsonb` gives them back.

The same record must be the same bytes whether it is told when it is written or read from the tables, or digests differ.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_WHOLE = 1e16
"""From here on a float is written with an exponent, which PostgreSQL writes out."""


def settings(told: Mapping[str, Any]) -> dict[str, Any]:
    """Answer an object with its keys in PostgreSQL's order, shorter ones first, and so whatever is in it."""
    return {key: _value(told[key]) for key in sorted(told, key=_place)}


def _place(key: str) -> tuple[int, bytes]:
    text = key.encode()
    return len(text), text


def _value(told: Any) -> Any:
    match told:
        case dict():
            return settings(told)
        case list():
            return [_value(each) for each in told]
        case float() if abs(told) >= _WHOLE:
            return int(Decimal(repr(told)))
        case float():
            # There is no zero below zero.
            return told + 0.0
        case _:
            return told
