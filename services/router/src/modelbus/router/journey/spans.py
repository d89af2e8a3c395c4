"""Traces of requests: made once a request is over, from what is written of it anyway, so that nobody waits for them.

Names and attributes are those of OpenTelemetry's semantic conventions for generative AI, version 1.37:
https://github.com/open-telemetry/semantic-conventions/blob/v1.37.0/docs/gen-ai/gen-ai-spans.md
"""

from datetime import datetime, timedelta
from random import random

import msgspec
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, format_trace_id, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from modelbus.chassis.tracing import CHOSEN, HEADER, tracer
from modelbus.router.journey.trip import OK, Attempt, Trip
from modelbus.router.ledger.entries import RequestEntry, Tokens

_propagator = TraceContextTextMapPropagator()
_MS = timedelta(milliseconds=1)


class Spans:
    """Tells a share of the requests, each as one span, and each of its attempts as one below it.

    A request that belongs to a trace of its caller's is told if that trace is.
    """

    def __init__(self, share: float) -> None:
        self._tracer = tracer()
        self._share = share
        self._chosen = Context({CHOSEN: True})

    def tell(self, trip: Trip, entry: RequestEntry, trace_parent: bytes | None) -> RequestEntry:
        """Tell a request that is over, and answer its entry with the trace that tells of it, if one does.

        `trace_parent` is what the caller said of its own trace.
        """
        # The lot is drawn here: a span costs twenty times as much, also one that nobody is told.
        if not trace_parent and random() >= self._share:  # noqa: S311 - nobody gains by guessing it
            return entry
        above = _above(trace_parent) if trace_parent else self._chosen
        work = _work(trip)
        root = self._tracer.start_span(
            f"{work} {entry.asked_for}", above, SpanKind.SERVER, start_time=_nanoseconds(entry.started_at)
        )
        if not root.is_recording():
            return entry
        _describe(root, _of_request(work, entry), None if entry.status < 500 else entry.outcome)  # noqa: PLR2004
        below = set_span_in_context(root)
        for attempt in trip.attempts:
            self._tell_attempt(work, attempt, trip, below)
        root.end(_nanoseconds(entry.started_at + entry.latency_ms * _MS))
        return _within(entry, root)

    def _tell_attempt(self, work: str, attempt: Attempt, trip: Trip, below: Context) -> None:
        name = attempt.offer.source.upstream_name
        span = self._tracer.start_span(
            f"{work} {name}", below, SpanKind.CLIENT, start_time=_nanoseconds(attempt.started_at)
        )
        supplier = trip.table.suppliers.get(attempt.offer.source.supplier_id)
        _describe(
            span,
            {
                "gen_ai.operation.name": work,
                "gen_ai.provider.name": supplier.name if supplier else "",
                "gen_ai.request.model": name,
                "modelbus.source.id": str(attempt.offer.source.id),
                "modelbus.attempt.number": attempt.number,
                "modelbus.attempt.outcome": attempt.outcome,
                **_of_tokens(attempt.tokens),
                **({} if attempt.status is None else {"http.response.status_code": attempt.status}),
                **({} if attempt.end_reason is None else {"gen_ai.response.finish_reasons": (attempt.end_reason,)}),
            },
            None if attempt.outcome == OK else attempt.outcome,
        )
        if attempt.first_token_ms is not None:
            first = attempt.started_at + attempt.first_token_ms * _MS
            span.add_event("first token", timestamp=_nanoseconds(first))
        span.end(_nanoseconds(attempt.started_at + attempt.latency_ms * _MS))


def within_callers_trace(entry: RequestEntry, trace_parent: bytes) -> RequestEntry:
    """Answer the entry with the trace that the caller keeps of the request, where none is told by us."""
    span = get_current_span(_above(trace_parent))
    return _within(entry, span) if span.get_span_context().trace_flags.sampled else entry


def _within(entry: RequestEntry, span: Span) -> RequestEntry:
    return msgspec.structs.replace(entry, trace_id=format_trace_id(span.get_span_context().trace_id))


def _above(trace_parent: bytes) -> Context:
    return _propagator.extract({HEADER: trace_parent.decode("latin-1")}, Context())


def _work(trip: Trip) -> str:
    """Name what is asked for, as the conventions do."""
    types = trip.ask.endpoint.types
    return "embeddings" if "embedding" in types else "chat" if trip.ask.endpoint.has_messages else "generate_content"


def _of_request(work: str, entry: RequestEntry) -> dict[str, AttributeValue]:
    return {
        "gen_ai.operation.name": work,
        "gen_ai.request.model": entry.asked_for,
        "http.response.status_code": entry.status,
        "modelbus.request.id": str(entry.id),
        "modelbus.attempts": len(entry.attempts),
        "modelbus.catalog.revision": entry.catalog_revision,
    }


def _of_tokens(tokens: Tokens) -> dict[str, AttributeValue]:
    """Count as the conventions do: input with what came from caches, output with reasoning."""
    counted = {
        "gen_ai.usage.input_tokens": (tokens.input, tokens.cached_input, tokens.cache_write),
        "gen_ai.usage.output_tokens": (tokens.output, tokens.reasoning),
    }
    return {
        name: sum(kind for kind in kinds if kind)
        for name, kinds in counted.items()
        if any(kind is not None for kind in kinds)
    }


def _describe(span: Span, attributes: dict[str, AttributeValue], failed: str | None) -> None:
    span.set_attributes(attributes)
    if failed is not None:
        span.set_attribute("error.type", failed)
        span.set_status(StatusCode.ERROR)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
