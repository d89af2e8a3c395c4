"""Strategies put offers in turn: pure but for chance, which is given, over what was seen of each source."""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from random import Random
from types import MappingProxyType
from typing import NamedTuple

from modelbus.router.balance.loads import Loads
from modelbus.router.balance.offers import Offer

PRIORITY, WEIGHTED, ROUND_ROBIN = "priority", "weighted", "round_robin"
LEAST_BUSY, LOWEST_LATENCY, LOWEST_COST = "least_busy", "lowest_latency", "lowest_cost"
_TOO_FEW = 2


class View(NamedTuple):
    """What strategies see beside the offers."""

    loads: Loads
    chance: Random
    now: float
    """As `time.monotonic` tells it."""
    turn: int = 0
    """How many requests came by here before; for those that go round."""


type Order = Callable[[Sequence[Offer], View], list[Offer]]


def by_priority(offers: Sequence[Offer], view: View) -> list[Offer]:
    """The lowest number first, and among equals by weight."""
    if len(offers) < _TOO_FEW:
        return list(offers)
    ordered = sorted(offers, key=_priority)
    if len({offer.source.priority for offer in ordered}) == len(ordered):
        return ordered
    return [offer for _, equals in groupby(ordered, key=_priority) for offer in by_weight(list(equals), view)]


def by_weight(offers: Sequence[Offer], view: View) -> list[Offer]:
    """By chance, each as often first as its weight says; those of weight 0 come last."""
    if len(offers) < _TOO_FEW:
        return list(offers)
    chance = view.chance

    # Efraimidis and Spirakis (2006): the order of u ** (1 / weight) is a weighted draw without replacement.
    def draw(offer: Offer) -> float:
        weight = offer.source.weight
        return chance.random() ** (1 / weight) if weight > 0 else -1

    return eased(sorted(offers, key=draw, reverse=True), view)


def round_robin(offers: Sequence[Offer], view: View) -> list[Offer]:
    """One after another, whatever their weight."""
    ordered = sorted(offers, key=lambda offer: (offer.source.priority, offer.id))
    first = view.turn % len(ordered) if ordered else 0
    return eased(ordered[first:] + ordered[:first], view)


def least_busy(offers: Sequence[Offer], view: View) -> list[Offer]:
    """The one with the fewest requests under way here, and among equals by chance."""
    ordered = sorted(offers, key=lambda offer: (view.loads.of(offer.id).in_flight, view.chance.random()))
    return eased(ordered, view)


def lowest_latency(offers: Sequence[Offer], view: View) -> list[Offer]:
    """The quicker of two that chance picks, then the others by how quick they are.

    Two choices (Mitzenmacher 2001) spread the load without everybody running to the same quickest source. What was
    never called is taken to be as quick as the others are on average.
    """
    ordered = sorted(offers, key=_slowness_among(offers, view))
    if len(ordered) > _TOO_FEW:
        first = min(view.chance.sample(range(len(ordered)), 2))
        ordered.insert(0, ordered.pop(first))
    return eased(ordered, view)


def lowest_cost(offers: Sequence[Offer], view: View) -> list[Offer]:
    """The cheapest first; of equal price, and of those whose price nobody knows, as priority and weight say."""
    return sorted(by_priority(offers, view), key=lambda offer: float("inf") if offer.price is None else offer.price)


STRATEGIES: Mapping[str, Order] = MappingProxyType(
    {
        PRIORITY: by_priority,
        WEIGHTED: by_weight,
        ROUND_ROBIN: round_robin,
        LEAST_BUSY: least_busy,
        LOWEST_LATENCY: lowest_latency,
        LOWEST_COST: lowest_cost,
    }
)
"""By the name that the setting has."""


def eased(ordered: list[Offer], view: View) -> list[Offer]:
    """Put sources last that have just come back, but for a growing share of the turns.

    Otherwise all that its absence drove elsewhere would come back to a source at the same moment. What is preferred
    by priority or price comes back at once: it was meant to bear the load.
    """
    if not view.loads.has_returned or len(ordered) < _TOO_FEW:
        return ordered
    easing = set()
    for offer in ordered:
        share = view.loads.of(offer.id).share(view.now)
        if share < 1 and view.chance.random() >= share:
            easing.add(offer.id)
    return sorted(ordered, key=lambda offer: offer.id in easing)


def mean_latency(offers: Sequence[Offer], view: View) -> float:
    """Answer how many seconds the offers take on average until an answer begins, as far as that was seen."""
    seen = [latency for offer in offers if (latency := view.loads.of(offer.id).latency_s) is not None]
    return sum(seen) / len(seen) if seen else 1.0


def _slowness_among(offers: Sequence[Offer], view: View) -> Callable[[Offer], tuple[float, float]]:
    usual = mean_latency(offers, view)

    def slowness(offer: Offer) -> tuple[float, float]:
        load = view.loads.of(offer.id)
        return load.expected_s(usual, view.now) * (load.in_flight + 1), view.chance.random()

    return slowness


def _priority(offer: Offer) -> int:
    return offer.source.priority
