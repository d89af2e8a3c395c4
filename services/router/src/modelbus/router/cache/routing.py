"""The records of what routes - chains, splits, complexity routings, strategies, scopes - as far as the router reads."""

from decimal import Decimal
from uuid import UUID

import msgspec

ANY_FAILURE = "any"


class ChainStep(msgspec.Struct, frozen=True, gc=False):
    """A model, or one exact source of it."""

    id: UUID
    model_id: UUID
    source_id: UUID | None = None
    triggers: tuple[str, ...] = (ANY_FAILURE,)
    """After which failures of the steps before it is tried."""
    protocol: str | None = None
    """How requests of this step are spoken; None means like the source."""
    features: dict[str, bool] | None = None
    """What requests may use of this step, where it differs from the source."""


class Chain(msgspec.Struct, frozen=True, gc=False):
    """Fallback steps under a name of their own."""

    id: UUID
    name: str
    is_active: bool
    steps: tuple[ChainStep, ...]


class Arm(msgspec.Struct, frozen=True, gc=False):
    """A model, or one exact source of it, with its share of the requests to a split."""

    name: str
    model_id: UUID
    weight: int
    """Its share is its part of all weights; 0 serves only when the others can't."""
    source_id: UUID | None = None


class Shadow(msgspec.Struct, frozen=True, gc=False):
    """A model, or one exact source of it, that is sent copies."""

    name: str
    model_id: UUID
    percent: float
    """Of the requests that were served, how many are copied."""
    source_id: UUID | None = None


class Split(msgspec.Struct, frozen=True, gc=False):
    """Shares of the requests to one name."""

    id: UUID
    name: str
    is_active: bool
    sticky_by: str
    """What draws the same arm again: `user`, `header:<name>` or `none`."""
    arms: tuple[Arm, ...]
    shadows: tuple[Shadow, ...] = ()


class Level(msgspec.Struct, frozen=True, gc=False):
    """The models for requests of one level of complexity, best first."""

    level: str
    model_ids: tuple[UUID, ...]


class Classifier(msgspec.Struct, frozen=True, gc=False):
    """How a request's level is found."""

    thresholds: tuple[float, ...]
    is_sticky: bool
    judge_model_id: UUID | None = None
    judge_timeout_ms: int | None = None


class Complexity(msgspec.Struct, frozen=True, gc=False):
    """Which models serve which level of complexity."""

    id: UUID
    name: str
    is_active: bool
    levels: tuple[Level, ...]
    classifier: Classifier | None = None
    """None takes the router's own settings."""


class Strategy(msgspec.Struct, frozen=True, gc=False):
    """A weighting by which the source that suits best is chosen; only the proportions of the weights matter."""

    id: UUID
    name: str
    is_active: bool
    cost_weight: float
    latency_weight: float
    success_weight: float
    quality_weight: float
    max_input_price: Decimal | None
    """USD per million tokens; what costs more, or nobody knows how much, is left out."""
    max_output_price: Decimal | None
    max_latency_ms: int | None
    """Time to the first token; what is known to take longer is left out."""
    model_ids: tuple[UUID, ...] | None
    """The models among which it chooses; None means every model that the request may use."""


class Scope(msgspec.Struct, frozen=True, gc=False):
    """A business domain with its own set of models."""

    id: UUID
    name: str
    is_active: bool
    model_ids: tuple[UUID, ...]
    default_model_id: UUID | None = None
    strategy_id: UUID | None = None
    response_cache_s: int | None = None
    """For how many seconds an answer may be given again to the same request; None for never."""
