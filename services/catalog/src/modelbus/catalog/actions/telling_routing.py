"""What the world is told of what routes: chains, splits, complexity routings, cost strategies and scopes."""

from modelbus.catalog.actions.telling_settings import settings
from modelbus.catalog.domain.chains import Chain
from modelbus.catalog.domain.complexity import ComplexityRouting
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.splits import Split
from modelbus.catalog.domain.strategies import Strategy
from modelbus.contracts.routing import (
    ChainRecord,
    ChainStepRecord,
    ClassifierRecord,
    ComplexityLevelRecord,
    ComplexityRecord,
    ScopeRecord,
    SplitArmRecord,
    SplitRecord,
    SplitShadowRecord,
    StrategyRecord,
)


def chain_record(chain: Chain) -> ChainRecord:
    """Tell a chain with its steps in order."""
    steps = [
        ChainStepRecord(
            id=step.id,
            model_id=step.target.model_id,
            source_id=step.target.source_id,
            triggers=list(step.target.triggers),
            protocol=step.target.protocol,
            features=step.target.features and settings(step.target.features),
        )
        for step in chain.steps
    ]
    return ChainRecord(
        id=chain.id, name=chain.name, is_active=chain.is_active, steps=steps, description=chain.description
    )


def split_record(split: Split) -> SplitRecord:
    """Tell a split with its arms and shadows."""
    return SplitRecord(
        id=split.id,
        name=split.name,
        is_active=split.is_active,
        sticky_by=split.sticky_by,
        arms=[
            SplitArmRecord(name=arm.name, model_id=arm.model_id, source_id=arm.source_id, weight=arm.weight)
            for arm in split.arms
        ],
        shadows=[
            SplitShadowRecord(name=each.name, model_id=each.model_id, source_id=each.source_id, percent=each.percent)
            for each in split.shadows
        ],
        description=split.description,
    )


def complexity_record(routing: ComplexityRouting) -> ComplexityRecord:
    """Tell a complexity routing, the easiest level first."""
    levels = [ComplexityLevelRecord(level=served.level, model_ids=list(served.model_ids)) for served in routing.levels]
    classifier = routing.classifier
    return ComplexityRecord(
        id=routing.id,
        name=routing.name,
        is_active=routing.is_active,
        levels=levels,
        description=routing.description,
        classifier=None
        if classifier is None
        else ClassifierRecord(
            thresholds=list(classifier.thresholds),
            is_sticky=classifier.is_sticky,
            judge_model_id=classifier.judge_model_id,
            judge_timeout_ms=classifier.judge_timeout_ms,
        ),
    )


def strategy_record(strategy: Strategy) -> StrategyRecord:
    """Tell a cost strategy."""
    return StrategyRecord(
        id=strategy.id,
        name=strategy.name,
        is_active=strategy.is_active,
        cost_weight=strategy.cost_weight,
        latency_weight=strategy.latency_weight,
        success_weight=strategy.success_weight,
        quality_weight=strategy.quality_weight,
        max_input_price=strategy.max_input_price,
        max_output_price=strategy.max_output_price,
        max_latency_ms=strategy.max_latency_ms,
        model_ids=strategy.model_ids,
        description=strategy.description,
    )


def scope_record(scope: Scope) -> ScopeRecord:
    """Tell a scope."""
    return ScopeRecord(
        id=scope.id,
        name=scope.name,
        is_active=scope.is_active,
        model_ids=scope.model_ids,
        default_model_id=scope.default_model_id,
        description=scope.description,
        domain=scope.domain,
        strategy_id=scope.strategy_id,
        response_cache_s=scope.response_cache_s,
    )
