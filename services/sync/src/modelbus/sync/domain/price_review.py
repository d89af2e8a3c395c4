"""Prices in doubt: of the wrong unit, as those of the same models elsewhere show, or far from what was known."""

import math
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

type Amounts = Mapping[str, Decimal]
"""Known prices by name, in USD; what is unknown is not in it, what costs nothing is zero."""

PER_TOKENS = ("input", "output", "cached_input", "cache_write", "reasoning")
"""The prices that have a unit to be wrong about."""
SHIFTS = (-6, -3, 0, 3, 6)
"""Where the points of prices must go when the unit is taken for another: a thousand, or a million times."""
LIKENESS = 1.0
"""Suppliers of one model differ by less than ten times, its power; units differ by a thousand."""
FEWEST = 2
"""Prices that must be compared before a unit is told; and models, before a whole listing is doubted."""
MAJORITY = 0.8
_LOOKS = {
    -6: "a million times too high",
    -3: "a thousand times too high",
    3: "as if they were per thousand tokens",
    6: "as if they were per token",
}


def unit_shift(listed: Mapping[str, Amounts], known: Mapping[str, Amounts], *, models: int = FEWEST) -> int | None:
    """Answer how far the points of all listed prices must move to the right to look like the known ones.

    0 says that the unit is right; None that there is too little to compare, or no agreement. At least so many
    `models` are compared.
    """
    if len(listed.keys() & known.keys()) < models:
        return None
    compared = [
        math.log10(float(known[name][price]) / float(amount))
        for name, amounts in listed.items()
        if name in known
        for price, amount in amounts.items()
        if price in PER_TOKENS and amount and known[name].get(price)
    ]
    votes = Counter(shift for power in compared for shift in SHIFTS if abs(power - shift) <= LIKENESS)
    if len(compared) < FEWEST or not votes:
        return None
    shift, count = votes.most_common(1)[0]
    return shift if count >= MAJORITY * len(compared) else None


def why_wrong_unit(shift: int) -> str:
    """Say how the prices of a listing look beside those that are known."""
    return f"the prices of the whole listing look {_LOOKS[shift]}, beside those known of the same models"


def why_jump(before: Amounts, listed: Amounts, factor: float) -> str | None:
    """Answer which price has moved by more than the factor, or fallen to nothing; None when none has.

    From nothing to a price is no jump: there is no factor, and to believe the dearer is the careful side.
    """
    for price, old in before.items():
        new = listed.get(price)
        if new is None or not old:
            continue
        if not new:
            return f"{price} was {old:f} and is nothing now"
        ratio = float(new) / float(old)
        if not 1 / factor <= ratio <= factor:
            return f"{price} was {old:f} and is {new:f} now, more than {factor:g} times {_direction(ratio)}"
    return None


def why_unlike_others(elsewhere: Amounts, listed: Amounts, factor: float) -> str | None:
    """Answer which price is unlike what the same model costs elsewhere; who gives it away for nothing may do so."""
    for price, other in elsewhere.items():
        new = listed.get(price)
        if other and new and not 1 / factor <= (ratio := float(new) / float(other)) <= factor:
            return f"{price} is {new:f} and {other:f} elsewhere, more than {factor:g} times {_direction(1 / ratio)}"
    return None


def _direction(ratio: float) -> str:
    return "more" if ratio > 1 else "less"
