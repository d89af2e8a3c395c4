"""Telling spans to a collector by OTLP over HTTP; loaded only where that is asked for."""

from collections.abc import Sequence
from typing import override

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from modelbus.chassis.tracing import CHOSEN


class Share(TraceIdRatioBased):
    """Takes a share of the traces that begin here, and all that were chosen before."""

    @override
    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if parent_context is not None and CHOSEN in parent_context:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return super().should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)


def export_spans(url: str, share: float, service: str) -> None:
    """Tell spans from now on, in batches and from a thread of their own; what is not taken is dropped."""
    named = Resource.create({"service.name": f"modelbus-{service}", "service.namespace": "modelbus"})
    provider = TracerProvider(resource=named, sampler=ParentBased(Share(share)))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
