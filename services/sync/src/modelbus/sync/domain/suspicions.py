"""What makes a listing suspicious beside the last one that was applied: it waits for an administrator then."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

FEWEST = 3
"""Models that must have gone, or prices that must have moved, before it is more than chance."""
FEWEST_NEW = 20
LIKENESS = 0.01
"""Factors of prices are the same within this share: suppliers round."""

type Offered = Mapping[str, Mapping[str, Decimal]]
"""The known prices of each model of a listing, by its upstream name."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How much a listing may differ from the one before it."""

    most_lost_share: float
    """Of the models that were listed."""
    most_growth: float
    """So many times as many models as before."""
    most_doubles: int
    """Entries whose id was listed before in the same listing."""
    minds_declared: bool = True
    """Whether fewer entries than the supplier says there are make a listing suspicious."""


@dataclass(frozen=True, slots=True)
class Entries:
    """How many entries a listing has, beside those that are its models."""

    delivered: int
    """All of them, whatever became of each."""
    declared: int | None
    """As many as the supplier says there are, if it says so."""
    doubles: int
    """With an id that was listed before."""


def why_suspicious(listed: Offered, before: Offered | None, entries: Entries, thresholds: Thresholds) -> list[str]:
    """Answer every reason to doubt the listing; a first one, with None before it, can only contradict itself."""
    if not entries.delivered:
        return ["empty listing: it has no entry at all"]
    reasons: list[str] = []
    if thresholds.minds_declared and entries.declared is not None and entries.delivered < entries.declared:
        reasons.append(f"cut listing: {entries.delivered} of {entries.declared} entries came that it says there are")
    if entries.doubles > thresholds.most_doubles:
        reasons.append(f"duplicate ids: {entries.doubles} entries have one that was listed before")
    if not before:
        return reasons
    lost = len(before.keys() - listed.keys())
    if lost >= FEWEST and lost > thresholds.most_lost_share * len(before):
        reasons.append(f"sudden loss: {lost} of {len(before)} models are gone")
    new = len(listed.keys() - before.keys())
    if new >= FEWEST_NEW and len(listed) > thresholds.most_growth * len(before):
        reasons.append(f"sudden growth: {len(listed)} models where {len(before)} were")
    factor = common_factor(listed, before)
    if factor is not None:
        reasons.append(f"every price is {factor:.6g} times what it was")
    return reasons


def common_factor(listed: Offered, before: Offered) -> float | None:
    """Answer by what all prices of the models that stay have moved; None where they did not move as one."""
    factors = [
        float(new / old)
        for name, prices in listed.items()
        for price, new in prices.items()
        if new and (old := before.get(name, {}).get(price))
    ]
    moved = sum(1 for name, prices in listed.items() if prices and name in before)
    if moved < FEWEST or not factors or any(abs(factor - 1) <= LIKENESS for factor in factors):
        return None
    least, most = min(factors), max(factors)
    return factors[0] if most - least <= LIKENESS * most else None
