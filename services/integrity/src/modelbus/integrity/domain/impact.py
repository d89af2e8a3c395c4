"""What would break if something went: the same rules, over places from which it is taken away."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from uuid import UUID

from modelbus.integrity.domain.findings import Fault, Severity
from modelbus.integrity.domain.references import Place
from modelbus.integrity.domain.targets import Model, Source

GONE = "gone"
"""Why a target would not be available that is asked about."""
NO_SOURCE = "no_source"
"""Why a model would not be available that nothing is left to serve."""

_WORST_FIRST = (Severity.DEAD, Severity.DEGRADED, Severity.AT_RISK)


def without(places: Iterable[Place], gone: Collection[UUID]) -> list[Place]:
    """Answer the places as they would be without some models and sources."""
    return [
        replace(
            place,
            model=_model_without(place.model, gone),
            source=place.source and _source_without(place.source, gone),
        )
        for place in places
    ]


def worsened(before: Iterable[Fault], after: Iterable[Fault]) -> list[Fault]:
    """Answer what is wrong only afterwards, or worse then; the worst first."""
    known = {fault.spot: fault.severity for fault in before}
    news = [fault for fault in after if known.get(fault.spot) not in {fault.severity, Severity.DEAD}]
    return sorted(news, key=lambda fault: (_WORST_FIRST.index(fault.severity), fault.where))


def _model_without(model: Model, gone: Collection[UUID]) -> Model:
    sources = tuple(_source_without(source, gone) for source in model.sources)
    problem = model.problem
    if problem is None and model.id in gone:
        problem = GONE
    elif problem is None and model.offers and all(source.problem for source in sources):
        problem = NO_SOURCE
    return replace(model, sources=sources, problem=problem)


def _source_without(source: Source, gone: Collection[UUID]) -> Source:
    return replace(source, problem=GONE) if source.id in gone and source.problem is None else source
