"""Spans that this process tells, kept instead of sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch
from uuid import uuid4

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext

from modelbus.chassis import tracing


@contextmanager
def kept_spans() -> Iterator[InMemorySpanExporter]:
    """Tell all spans to the exporter; the provider of a process can be set only once."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with patch.object(tracing, "tracer", lambda: provider.get_tracer("tests")):
        yield kept


def a_cause() -> str:
    """Make up the `traceparent` of somebody whose trace is kept."""
    return f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"


def causes_of(kept: InMemorySpanExporter, name: str) -> list[str]:
    """Answer what caused the spans of that name, as `traceparent`, sorted; "" for what nobody did."""
    told = [each for each in kept.get_finished_spans() if each.name == name]
    return sorted(_told(each.parent) for each in told)


def _told(cause: SpanContext | None) -> str:
    return "" if cause is None else f"00-{cause.trace_id:032x}-{cause.span_id:016x}-01"
