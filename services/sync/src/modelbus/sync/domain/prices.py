"""Prices in a listing: from whatever notation to USD per million, exactly; what is no price is unknown, never zero."""

import re
from decimal import Context, Decimal
from enum import IntEnum

DEAREST = Decimal(10) ** 9
_PRICE = re.compile(r"-?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,2})?", re.ASCII)
# Holds every digit that the pattern lets in, so that no arithmetic here ever rounds.
_EXACT = Context(prec=200)


class Unit(IntEnum):
    """What a price is for; the number is how far its point moves to make it one for a million tokens."""

    PER_MILLION = 0
    PER_THOUSAND = 3
    PER_TOKEN = 6


def read_amount(given: object) -> Decimal | None:
    """Read a JSON string or number as an amount; None when it is neither, or not a plausible one."""
    if isinstance(given, bool) or not isinstance(given, str | int | Decimal):
        return None
    text = str(given).strip()
    if not _PRICE.fullmatch(text):
        return None
    amount = Decimal(text)
    return amount if abs(amount) < DEAREST else None


def per_million(amount: Decimal | None, unit: Unit = Unit.PER_TOKEN) -> Decimal | None:
    """Answer USD per million tokens from USD per unit; None of what is unknown, or beyond any reason."""
    return None if amount is None else moved(amount, unit)


def moved(amount: Decimal, places: int) -> Decimal | None:
    """Move the point so many places to the right, to the left where it is negative; None where that is no price."""
    price = _plain(amount.scaleb(places, _EXACT))
    return price if price < DEAREST else None


def per_piece(amount: Decimal | None) -> Decimal | None:
    """Answer USD per request or per image, as given."""
    return None if amount is None else _plain(amount)


def _plain(amount: Decimal) -> Decimal:
    """One notation per number, `10` and not `1E+1` or `10.0`; or equal prices would look like a change."""
    return Decimal(f"{amount.normalize(_EXACT):f}") if amount else Decimal(0)
