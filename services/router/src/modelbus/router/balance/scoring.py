"""A cost strategy of the catalog weighs cost, latency, success and quality against one another, within caps."""

from collections.abc import Sequence

from modelbus.router.balance.loads import Load
from modelbus.router.balance.offers import Offer
from modelbus.router.balance.strategies import Order, View, by_priority, eased, mean_latency
from modelbus.router.cache.routing import Strategy

_CENT = 0.01
"""USD per million tokens: below that, prices do not tell offers apart, and what is free is not infinitely better."""
_MILLISECOND = 0.001
_HEALTH = {"healthy": 1.0, "unknown": 0.5, "degraded": 0.25, "down": 0.0}


def beyond_caps(strategy: Strategy, offer: Offer, load: Load) -> str | None:
    """Say which cap the offer exceeds; None if none. What nobody knows the price of may cost too much."""
    cost = offer.source.cost
    for words, cap, price in (
        ("input_price", strategy.max_input_price, cost.input),
        ("output_price", strategy.max_output_price, cost.output),
    ):
        if cap is not None and (price is None or cost.is_dynamic):
            return "price_unknown"
        if cap is not None and price is not None and price > cap:
            return f"{words}_above_cap"
    if strategy.max_latency_ms is not None and load.first_token_s is not None:
        return "latency_above_cap" if load.first_token_s * 1000 > strategy.max_latency_ms else None
    return None


def by_score(strategy: Strategy) -> Order:
    """Answer the order that the strategy wants: the greatest score first, and equals as priority and weight say."""

    def order(offers: Sequence[Offer], view: View) -> list[Offer]:
        scores = dict(zip((offer.id for offer in offers), scored(strategy, offers, view), strict=True))
        return eased(sorted(by_priority(offers, view), key=lambda offer: scores[offer.id], reverse=True), view)

    return order


def scored(strategy: Strategy, offers: Sequence[Offer], view: View) -> list[float]:
    """Score each offer from 0 to 1, against the others; whatever is best at something has 1 for that."""
    columns = (
        (strategy.cost_weight, _costs),
        (strategy.latency_weight, _latencies),
        (strategy.success_weight, _successes),
        (strategy.quality_weight, _qualities),
    )
    total = sum(weight for weight, _ in columns) or 1.0
    weighed = [(weight / total, column(offers, view)) for weight, column in columns if weight]
    return [round(sum(weight * column[at] for weight, column in weighed), 6) for at in range(len(offers))]


def _costs(offers: Sequence[Offer], _view: View) -> list[float]:
    """1 for the cheapest, half of it for twice its price, 0 for what has no known price."""
    cheapest = min((offer.price for offer in offers if offer.price is not None), default=0.0)
    return [0.0 if offer.price is None else (cheapest + _CENT) / (offer.price + _CENT) for offer in offers]


def _latencies(offers: Sequence[Offer], view: View) -> list[float]:
    """1 for the quickest, half of it for twice its time; what was never called is taken for the average."""
    usual = mean_latency(offers, view)
    loads = [view.loads.of(offer.id) for offer in offers]
    took = [load.expected_s(usual, view.now) * (load.in_flight + 1) for load in loads]
    quickest = min(took, default=0.0)
    return [(quickest + _MILLISECOND) / (each + _MILLISECOND) for each in took]


def _successes(offers: Sequence[Offer], view: View) -> list[float]:
    """As seen here of late, or else by the health that the catalog tells."""
    loads = [view.loads.of(offer.id) for offer in offers]
    return [
        load.success if load.is_known else _HEALTH.get(offer.source.health, 0.5)
        for offer, load in zip(offers, loads, strict=True)
    ]


def _qualities(offers: Sequence[Offer], _view: View) -> list[float]:
    """By the place of the model among the others, as the catalog ranks them: featured, price, context window."""
    strengths: dict[object, tuple[bool, float, int]] = {}
    for offer in offers:
        known = strengths.get(offer.model.id)
        price = offer.price or 0.0
        if known is not None:
            price = min(filter(None, (price, known[1])), default=0.0)
        strengths[offer.model.id] = (offer.model.is_featured, price, offer.model.context_window or 0)
    places = {strength: place for place, strength in enumerate(sorted(set(strengths.values())))}
    top = max(len(places) - 1, 1)
    return [places[strengths[offer.model.id]] / top if len(places) > 1 else 1.0 for offer in offers]
