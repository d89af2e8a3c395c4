"""Prices in a listing: from whatever notation to USD per million, exactly; what is no price is unknown, never zero."""

import re
from decimal import Context, Decimal

PER_MILLION = 6
DEAREST = Decimal(10) ** 9
_PRICE = re.compile(r"-?(?:\d{1,30}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][-+]?\d{1,2})?", re.ASCII)
# Holds every digit that the pattern lets in, so that no arithmetic here ever rounds.
_EXACT = Context(prec=200)


def read_amount(given: object) -> Decimal | None:
    """Read a JSON string or number as an amount; None when it is neither, or not a plausible one."""
    if isinstance(given, bool) or not isinstance(given, str | int | Decimal):
        return None
    text = str(given).strip()
    if not _PRICE.fullmatch(text):
        return None
    amount = Decimal(text)
    return amount if abs(amount) < DEAREST else None


def per_million(per_token: Decimal | None) -> Decimal | None:
    """Answer USD per million tokens from USD per token."""
    if per_token is None:
        return None
    price = _plain(per_token.scaleb(PER_MILLION, _EXACT))
    return price if price < DEAREST else None


def per_piece(amount: Decimal | None) -> Decimal | None:
    """Answer USD per request or per image, as given."""
    return None if amount is None else _plain(amount)


def _plain(amount: Decimal) -> Decimal:
    """One notation per number, `10` and not `1E+1` or `10.0`; or equal prices would look like a change."""
    return Decimal(f"{amount.normalize(_EXACT):f}") if amount else Decimal(0)
