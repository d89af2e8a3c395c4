"""Whoever collects spans, on a socket: takes OTLP over HTTP as any collector does, and keeps them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Told:
    """A span."""

    service: str
    name: str
    id: str
    parent_id: str
    attributes: dict[str, Any]


@dataclass
class Collector:
    """What was told, by trace."""

    url: str = ""
    traces: dict[str, list[Told]] = field(default_factory=dict)

    def of(self, trace_id: str, service: str | None = None) -> list[Told]:
        """Answer the spans of a trace."""
        return [told for told in self.traces.get(trace_id, []) if service in {None, told.service}]

    async def take(self, request: web.Request) -> web.Response:
        """Keep what a service tells."""
        body = ExportTraceServiceRequest()
        body.ParseFromString(await request.read())
        for resource in body.resource_spans:
            service = _attributes(resource.resource)["service.name"]
            for scope in resource.scope_spans:
                for each in scope.spans:
                    told = Told(service, each.name, each.span_id.hex(), each.parent_span_id.hex(), _attributes(each))
                    self.traces.setdefault(each.trace_id.hex(), []).append(told)
        return web.Response(body=b"", content_type="application/x-protobuf")


def _attributes(owner: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in owner.attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector that listens."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()
