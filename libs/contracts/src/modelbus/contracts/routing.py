"""State records of what routes: chains, splits, complexity routing, cost strategies and scopes; all refer by id."""

from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from modelbus.contracts.records import Record


class ChainStepRecord(BaseModel):
    """One step of a chain: a model, or one exact source of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: UUID
    model_id: UUID
    source_id: UUID | None = None
    triggers: list[str] = Field(default_factory=lambda: ["any"])
    """After which failures of the steps before it is tried: `any`, `rate_limit`, `context_length`, `content_filter`,
    `timeout`."""
    protocol: str | None = None
    """How requests of this step are spoken; None means like the source."""
    features: dict[str, bool] | None = None
    """What requests may use of this step: capability name to whether they may; others are as the source says."""


class ChainRecord(Record):
    """Ordered fallback steps under a name that callers use like a model's."""

    kind: ClassVar[str] = "chain"

    name: str
    is_active: bool
    steps: list[ChainStepRecord]
    description: str | None = None


class SplitArmRecord(BaseModel):
    """A model, or one exact source of it, that takes a share of the requests to a split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """What the variant is called in answers and usage; each name once in its split."""
    model_id: UUID
    source_id: UUID | None = None
    weight: int
    """Its share is its part of all weights; 0 serves only when the others can't."""


class SplitShadowRecord(BaseModel):
    """A model, or one exact source of it, that is sent copies of requests; nobody sees what it answers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    model_id: UUID
    source_id: UUID | None = None
    percent: float
    """Of the requests that were served, how many are copied: more than 0, at most 100."""


class SplitRecord(Record):
    """Shares of the requests to one name, which callers use like a model's."""

    kind: ClassVar[str] = "split"

    name: str
    is_active: bool
    sticky_by: str
    """What draws the same arm again: `user` as the request names them, `header:<name>`, or `none`."""
    arms: list[SplitArmRecord]
    shadows: list[SplitShadowRecord] = Field(default_factory=list)
    description: str | None = None


class ComplexityLevelRecord(BaseModel):
    """The models that serve requests of one level, best first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: str
    """`trivial`, `easy`, `medium`, `hard` or `expert`."""
    model_ids: list[UUID]


class ClassifierRecord(BaseModel):
    """How a request's level is found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    thresholds: list[float]
    """Scores from 0 to 1, growing, at which `easy`, `medium`, `hard` and `expert` begin."""
    is_sticky: bool
    """A conversation keeps its level, unless a harder request raises it."""
    judge_model_id: UUID | None = None
    """A model that is asked for the level; without an answer in time the local classifier decides."""
    judge_timeout_ms: int | None = None


class ComplexityRecord(Record):
    """Which models serve which level of complexity."""

    kind: ClassVar[str] = "complexity"

    name: str
    is_active: bool
    levels: list[ComplexityLevelRecord]
    description: str | None = None
    classifier: ClassifierRecord | None = None
    """None takes the router's own settings."""


class StrategyRecord(Record):
    """A named weighting by which the source that suits best is chosen."""

    kind: ClassVar[str] = "strategy"

    name: str
    is_active: bool
    cost_weight: float
    latency_weight: float
    success_weight: float
    quality_weight: float
    """Weights are 0 or more; only their proportions matter."""
    max_input_price: Decimal | None
    """USD per million tokens; a source that costs more is left out, and so is one whose price nobody knows."""
    max_output_price: Decimal | None
    max_latency_ms: int | None
    """Time to the first token; a source that takes longer is left out."""
    model_ids: list[UUID] | None
    """The models among which it chooses; None means every model that the request may use."""
    description: str | None = None


class ScopeRecord(Record):
    """A business domain with its own set of models."""

    kind: ClassVar[str] = "scope"

    name: str
    is_active: bool
    model_ids: list[UUID]
    default_model_id: UUID | None
    description: str | None = None
    domain: str | None = None
    """What it stands for in the business: `tenant`, `module`, `prompt` ..."""
    strategy_id: UUID | None = None
    """How a source is chosen among its models; None takes the router's default."""
    response_cache_s: int | None = None
    """For how many seconds an answer may be given again to the same request; None for never."""
