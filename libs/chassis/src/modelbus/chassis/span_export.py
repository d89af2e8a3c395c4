"""Telling spans to a collector by OTLP over HTTP; loaded only where that is asked for."""

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased


def export_spans(url: str, share: float, service: str) -> None:
    """Tell spans from now on, in batches and from a thread of their own; what is not taken is dropped."""
    named = Resource.create({"service.name": f"modelbus-{service}", "service.namespace": "modelbus"})
    provider = TracerProvider(resource=named, sampler=ParentBased(TraceIdRatioBased(share)))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{url.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
