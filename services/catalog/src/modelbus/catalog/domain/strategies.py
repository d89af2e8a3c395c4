"""A cost strategy weighs cost, latency, success and quality against one another, within caps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.offers import Offer, by_model, strength_of
from modelbus.catalog.domain.routing_errors import NoWeightError
from modelbus.catalog.domain.sources import Health

CENT = Decimal("0.01")
"""USD per million tokens: below that, prices do not tell offers apart, and what is free is not infinitely better."""
_SUCCESS = {Health.HEALTHY: 1.0, Health.UNKNOWN: 0.5, Health.DEGRADED: 0.25, Health.DOWN: 0.0}


class Criterion(StrEnum):
    """What a strategy weighs."""

    COST = "cost"
    LATENCY = "latency"
    SUCCESS = "success"
    QUALITY = "quality"


UNKNOWN_HERE = (Criterion.LATENCY,)
"""The catalog has no figures for these; the router, which has, weighs them."""


class LeftOut(StrEnum):
    """Why an offer is no candidate; what is not available says so by its own reason."""

    INPUT_PRICE = "input_price_above_cap"
    OUTPUT_PRICE = "output_price_above_cap"
    PRICE_UNKNOWN = "price_unknown"


@dataclass(frozen=True, slots=True)
class Strategy:
    """A named weighting."""

    KIND: ClassVar[str] = "strategy"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    description: str | None
    is_active: bool
    cost_weight: float
    latency_weight: float
    success_weight: float
    quality_weight: float
    """Weights are 0 or more; only their proportions matter."""
    max_input_price: Decimal | None
    """USD per million tokens."""
    max_output_price: Decimal | None
    max_latency_ms: int | None
    """Time to the first token."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    model_ids: list[UUID] | None
    """The models among which it chooses; None means every model that the request may use."""
    version: int = 1

    @property
    def is_restricted(self) -> bool:
        """Tell whether it chooses only among some models."""
        return self.model_ids is not None

    @property
    def has_price_caps(self) -> bool:
        """Tell whether it leaves out what costs too much."""
        return self.max_input_price is not None or self.max_output_price is not None

    @property
    def weights(self) -> dict[Criterion, float]:
        """The weight of each criterion."""
        return {
            Criterion.COST: self.cost_weight,
            Criterion.LATENCY: self.latency_weight,
            Criterion.SUCCESS: self.success_weight,
            Criterion.QUALITY: self.quality_weight,
        }

    def checked(self) -> "Strategy":
        """Answer the strategy itself.

        Raises:
            NoWeightError: every weight is 0.
        """
        if not any(self.weights.values()):
            raise NoWeightError
        return self

    def leaves_out(self, offer: Offer) -> str | None:
        """Answer why the offer is no candidate; None when it is. What costs nobody knows how much may cost too much."""
        if not offer.is_available:
            return offer.reason
        caps = (
            ("input", self.max_input_price, LeftOut.INPUT_PRICE),
            ("output", self.max_output_price, LeftOut.OUTPUT_PRICE),
        )
        for unit, cap, verdict in caps:
            price = offer.price(unit)
            if cap is not None and price is None:
                return LeftOut.PRICE_UNKNOWN
            if cap is not None and price is not None and price > cap:
                return verdict
        return None


@dataclass(frozen=True, slots=True)
class Candidate:
    """An offer that a strategy may choose, with what speaks for it."""

    offer: Offer
    score: float
    """From 0 to 1; the greatest is chosen first."""
    scores: dict[Criterion, float]
    """By criterion, from 0 to 1, as far as the catalog knows."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a strategy would choose among, and what not."""

    candidates: list[Candidate]
    """The best first."""
    left_out: list[tuple[Offer, str]]
    """With the reason."""


def rank(strategy: Strategy, offers: Sequence[Offer]) -> Ranking:
    """Rank the offers by what the catalog knows; equals come in order of priority, then of name."""
    judged = [(offer, strategy.leaves_out(offer)) for offer in offers]
    fit = [offer for offer, reason in judged if reason is None]
    scorers = {Criterion.COST: _cost_scorer(fit), Criterion.SUCCESS: _success, Criterion.QUALITY: _quality_scorer(fit)}
    candidates = [_candidate(strategy, offer, scorers) for offer in fit]
    candidates.sort(key=lambda each: (-each.score, each.offer.priority, each.offer.model_name, each.offer.source_id))
    left_out = [(offer, reason) for offer, reason in judged if reason is not None]
    left_out.sort(key=lambda each: (each[0].model_name, each[0].source_id))
    return Ranking(candidates, left_out)


type _Scorer = Callable[[Offer], float]


def _candidate(strategy: Strategy, offer: Offer, scorers: dict[Criterion, _Scorer]) -> Candidate:
    scores = {criterion: score(offer) for criterion, score in scorers.items()}
    weights = {criterion: strategy.weights[criterion] for criterion in scorers}
    total = sum(weights.values())
    # A strategy of latency alone ranks nothing here: all are equal.
    score = sum(scores[criterion] * weight for criterion, weight in weights.items()) / total if total else 0.0
    return Candidate(offer, round(score, 6), {criterion: round(each, 6) for criterion, each in scores.items()})


def _cost_scorer(offers: Sequence[Offer]) -> _Scorer:
    """Score 1 for the cheapest, half of it for twice its price, 0 for what has no known price."""
    known = [price for offer in offers if (price := offer.blended_price) is not None]
    cheapest = min(known, default=Decimal(0))

    def score(offer: Offer) -> float:
        price = offer.blended_price
        return 0.0 if price is None else float((cheapest + CENT) / (price + CENT))

    return score


def _success(offer: Offer) -> float:
    return _SUCCESS.get(Health(offer.health), 0.5)


def _quality_scorer(offers: Sequence[Offer]) -> _Scorer:
    """Score by the place of the model among the others: 1 for the strongest, 0 for the weakest."""
    strengths = {model_id: strength_of(of_model) for model_id, of_model in by_model(list(offers)).items()}
    ranks = {key: place for place, key in enumerate(sorted(set(strengths.values())))}
    top = max(len(ranks) - 1, 1)
    return lambda offer: ranks[strengths[offer.model_id]] / top if len(ranks) > 1 else 1.0
