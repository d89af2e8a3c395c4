"""Cost strategies over REST."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AfterValidator, Field

from modelbus.catalog.actions import strategies as actions
from modelbus.catalog.api.checks import Checked, CheckedView
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.references import Breaking, ModelSet, Wanted, WarningView
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, Text, View, page_of
from modelbus.catalog.domain.models import ModelType
from modelbus.catalog.domain.strategies import UNKNOWN_HERE, Candidate, Criterion, Ranking
from modelbus.catalog.store import strategies as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(
    prefix="/api/v1/cost-strategies", tags=["cost strategies"], route_class=OnceRoute, dependencies=GUARDS
)

HEAVIEST = 1_000_000
MOST_SHOWN = 200


def _plain(price: Decimal) -> Decimal:
    """Write a price as the database gives it back, so that an event and a snapshot tell it by the same bytes."""
    return Decimal(f"{abs(price.normalize()):f}")


Weight = Annotated[float, Field(ge=0, le=HEAVIEST, allow_inf_nan=False)]
Cap = Annotated[Decimal, Field(ge=0, max_digits=18, decimal_places=9, allow_inf_nan=False), AfterValidator(_plain)]
Latency = Annotated[int, Field(ge=1, le=3_600_000)]


class NewStrategy(Input):
    """A named weighting; only the proportions of the weights matter, and at least one is above 0."""

    name: Name
    description: Text | None = None
    is_active: bool = True
    cost_weight: Weight = 0
    """For a low price: of two sources, the one at half the price scores twice as much."""
    latency_weight: Weight = 0
    """For a short time to the first token, as the router measures it."""
    success_weight: Weight = 0
    """For requests that end well, as probes and traffic tell."""
    quality_weight: Weight = 0
    """For a strong model: featured ones first, then by price, then by context window."""
    max_input_price: Cap | None = None
    """USD per million tokens; a source that costs more is left out, and so is one whose price nobody knows."""
    max_output_price: Cap | None = None
    """The same for what the model writes."""
    max_latency_ms: Latency | None = None
    """Time to the first token; a source that takes longer is left out."""
    model_ids: ModelSet | None = None
    """The models among which it chooses; null means every model that the request may use."""

    def fields(self) -> dict[str, Any]:
        """Answer what the strategy is made of."""
        return self.model_dump()


class StrategyChanges(Changes):
    """Fields to change; models that are given replace all that there were."""

    name: Name = ""
    description: Text | None = None
    is_active: bool = True
    cost_weight: Weight = 0
    latency_weight: Weight = 0
    success_weight: Weight = 0
    quality_weight: Weight = 0
    max_input_price: Cap | None = None
    max_output_price: Cap | None = None
    max_latency_ms: Latency | None = None
    model_ids: ModelSet | None = None


class StrategyView(CheckedView):
    """A cost strategy as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    cost_weight: float
    latency_weight: float
    success_weight: float
    quality_weight: float
    max_input_price: Decimal | None
    max_output_price: Decimal | None
    max_latency_ms: int | None
    model_ids: list[UUID] | None
    warnings: list[WarningView]
    """What of it could not serve right now; whether its caps let anything through is told where it stands alone."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class OfferView(View):
    """A source that a strategy looked at."""

    source_id: UUID
    upstream_name: str
    model_id: UUID
    model_name: str
    supplier_id: UUID
    supplier_name: str
    health: str
    input_price: Decimal | None
    """USD per million tokens; null where nobody knows it."""
    output_price: Decimal | None


class CandidateView(OfferView):
    """A source that the strategy would choose, the greatest score first."""

    score: float
    """From 0 to 1."""
    scores: dict[Criterion, float]
    """By what is weighed, from 0 to 1."""


class LeftOutView(OfferView):
    """A source that the strategy would not choose."""

    reason: str
    """Why it is not available, or `input_price_above_cap`, `output_price_above_cap`, `price_unknown`."""


class CandidatesView(View):
    """What a strategy would choose among right now, by all that the catalog knows."""

    candidates: list[CandidateView]
    """The best first."""
    candidate_count: int
    """How many there are; only so many as asked for are listed."""
    left_out: list[LeftOutView]
    left_out_count: int
    not_weighed: list[Criterion]
    """What the catalog has no figures for, and the router weighs by its own."""


@routes.get("")
async def list_strategies(session: Reading, paging: ByName, wanted: Wanted) -> Page[StrategyView]:
    """List cost strategies, and what of them is stale."""
    return page_of(StrategyView, await store.list_strategies(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_strategy(new: NewStrategy, session: Transaction, answer: Shown, checked: Checked) -> StrategyView:
    """Add a cost strategy; models of it that can't serve, and caps that let nothing through, are warned of."""
    strategy = await actions.create_strategy(session, new.fields())
    return await _checked(checked, await show_strategy(strategy.id, session, answer))


@routes.get("/{strategy_id}")
async def show_strategy(strategy_id: UUID, session: Reading, answer: Shown) -> StrategyView:
    """Show a cost strategy, and what of it is stale."""
    return answer(StrategyView, await actions.judged_strategy(session, strategy_id))


@routes.get("/{strategy_id}/candidates")
async def list_candidates(
    strategy_id: UUID,
    session: Reading,
    model_type: ModelType | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_SHOWN, description="How many of either to list.")] = 50,
) -> CandidatesView:
    """Rank what a cost strategy would choose among right now, with the reason why each other source is left out."""
    return _candidates(await actions.rank_candidates(session, strategy_id, model_type), limit)


@routes.patch("/{strategy_id}")
async def change_strategy(
    strategy_id: UUID,
    changes: StrategyChanges,
    session: Transaction,
    answer: Shown,
    breaking: Breaking,
    checked: Checked,
) -> StrategyView:
    """Change some fields of a cost strategy; models that are given replace all that there were."""
    await actions.change_strategy(session, strategy_id, changes.given(), breaking)
    return await _checked(checked, await show_strategy(strategy_id, session, answer))


@routes.put("/{strategy_id}")
async def replace_strategy(
    strategy_id: UUID, new: NewStrategy, session: Transaction, answer: Shown, breaking: Breaking, checked: Checked
) -> StrategyView:
    """Set every field of a cost strategy."""
    await actions.change_strategy(session, strategy_id, new.fields(), breaking)
    return await _checked(checked, await show_strategy(strategy_id, session, answer))


@routes.delete("/{strategy_id}", status_code=204)
async def delete_strategy(strategy_id: UUID, session: Transaction, breaking: Breaking) -> None:
    """Delete a cost strategy; refused while a scope in service refers to it."""
    await actions.delete_strategy(session, strategy_id, breaking)


@routes.post("/{strategy_id}/enable")
async def enable_strategy(strategy_id: UUID, session: Transaction, answer: Shown) -> StrategyView:
    """Put a cost strategy into service."""
    await actions.change_strategy(session, strategy_id, {"is_active": True})
    return await show_strategy(strategy_id, session, answer)


@routes.post("/{strategy_id}/disable")
async def disable_strategy(strategy_id: UUID, session: Transaction, answer: Shown, breaking: Breaking) -> StrategyView:
    """Take a cost strategy out of service; refused while a scope in service refers to it."""
    await actions.change_strategy(session, strategy_id, {"is_active": False}, breaking)
    return await show_strategy(strategy_id, session, answer)


async def _checked(checked: Checked, strategy: StrategyView) -> StrategyView:
    config = strategy.model_dump(mode="json", include={"id", "name", "model_ids"})
    return await checked(strategy, {"config_type": "strategy", **config})


def _candidates(ranking: Ranking, limit: int) -> CandidatesView:
    def view(candidate: Candidate) -> CandidateView:
        offer = OfferView.model_validate(candidate.offer)
        return CandidateView(**offer.model_dump(), score=candidate.score, scores=candidate.scores)

    return CandidatesView(
        candidates=[view(candidate) for candidate in ranking.candidates[:limit]],
        candidate_count=len(ranking.candidates),
        left_out=[
            LeftOutView(**OfferView.model_validate(offer).model_dump(), reason=reason)
            for offer, reason in ranking.left_out[:limit]
        ],
        left_out_count=len(ranking.left_out),
        not_weighed=list(UNKNOWN_HERE),
    )
