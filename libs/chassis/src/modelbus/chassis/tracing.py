"""Traces: one context joins a request, the events that it causes, and whoever hears them.

The context travels as W3C's `traceparent` (https://www.w3.org/TR/trace-context/) in HTTP and NATS headers and in the
outbox, whether spans are told or not. They are told by OTLP where an address is set, for a share of the traces.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.contextvars import bound_contextvars, get_contextvars

from modelbus.chassis.settings import TraceSettings

HEADER = "traceparent"
CHOSEN = "modelbus-chosen"
"""In a context: who begins the trace has drawn by lot itself that it is told."""
_TRACE_PARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_propagator = TraceContextTextMapPropagator()


def start_tracing(settings: TraceSettings, service: str) -> None:
    """Tell spans from now on, if the settings say where to; once in a process, before it serves."""
    if settings.traces_url is None:
        return
    # The library takes a fifth of a second and 15 MB.
    from modelbus.chassis.span_export import export_spans  # noqa: PLC0415

    export_spans(settings.traces_url, settings.traces_share, service)


def tracer() -> Tracer:
    """Answer what makes spans; where none are told it makes nothing but their context."""
    return trace.get_tracer("modelbus", schema_url="https://opentelemetry.io/schemas/1.37.0")


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    *,
    parent: str | None = None,
    attributes: Mapping[str, str | int | float | bool] | None = None,
) -> Iterator[Span]:
    """Do the block within a span; `parent` is the `traceparent` of who caused it, where that was elsewhere.

    Logs within it, events that it records and requests that it makes belong to it.
    """
    above = _propagator.extract({HEADER: parent}) if parent is not None else None
    with tracer().start_as_current_span(name, context=above, kind=kind, attributes=dict(attributes or {})) as opened:
        told = trace_parent()
        with bound_contextvars(**({} if told is None else _bound(told))):
            yield opened


def trace_parent() -> str | None:
    """Answer the present span as others are told of it; None where there is none."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(HEADER) or get_contextvars().get(HEADER)


def joined(given: str) -> dict[str, str]:
    """Answer what is bound to the context of a request: its span's place, else what the caller said of itself.

    FastAPI makes the span; where none are told it makes none, and events still belong to the caller's trace.
    """
    told = trace_parent() or (given if _TRACE_PARENT.fullmatch(given) else None)
    return {} if told is None else _bound(told)


def _bound(told: str) -> dict[str, str]:
    return {HEADER: told, "trace_id": told.split("-")[1]}


async def tell_next(request: httpx.Request) -> None:
    """Tell a neighbour to which trace a request belongs; an event hook of httpx clients, never of suppliers' ones."""
    if (told := trace_parent()) is not None:
        request.headers[HEADER] = told
