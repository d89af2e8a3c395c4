"""What a service shows of itself at /metrics: plain counts while it works, put into Prometheus' words when asked."""

import asyncio
import hmac
from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from time import monotonic

from fastapi import APIRouter, Request
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from pydantic import SecretStr
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelbus.chassis import problems
from modelbus.chassis.logs import logger
from modelbus.chassis.outages import is_outage

PATH = "/metrics"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
LONGEST_READ_S = 2.0
"""Where a neighbour takes longer, its figures are missing this time."""
REQUEST_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

type Read = Callable[[], Iterable[Metric]]
"""Answers what is known here."""
type Ask = Callable[[], Awaitable[Iterable[Metric]]]
"""Asks a neighbour."""

log = logger(__name__)


class Spread:
    """How often something took how long; an observation costs a search among a dozen bounds."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str] = ()) -> None:
        """Show it under these labels."""
        ends = (*(str(float(bound)) for bound in self._bounds), "+Inf")
        family.add_metric(labels, list(zip(ends, accumulate(self._counts), strict=True)), self._sum)


class Metrics:
    """Everything that one service shows."""

    def __init__(self, *, reads: Sequence[Read] = (), asks: Sequence[Ask] = ()) -> None:
        self._reads = reads
        self._asks = asks

    async def render(self, requests: "Requests", accept: str) -> tuple[bytes, str]:
        """Answer the page, and its type: OpenMetrics for who asks for it, else Prometheus' text."""
        answers = await asyncio.gather(*(_answer_of(ask) for ask in self._asks))
        missing = GaugeMetricFamily("modelbus_metrics_missing", "Neighbours that did not answer this time.")
        missing.add_metric([], sum(answer is None for answer in answers))
        known = [family for read in (requests.read, *self._reads) for family in read()]
        asked = [family for answer in answers for family in answer or ()]
        encode, kind = choose_encoder(accept)
        return encode(_Page([*known, missing, *asked])), kind


class _Page:
    """What the encoder takes for a registry."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


async def _answer_of(ask: Ask) -> Iterable[Metric] | None:
    try:
        async with asyncio.timeout(LONGEST_READ_S):
            return await ask()
    except Exception as error:
        if not is_outage(error):
            raise
        log.debug("figures are missing", error=repr(error))
        return None


class Requests:
    """Counts requests by route, never by path: paths hold ids without end."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._spreads: dict[tuple[str, str], Spread] = {}

    def note(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request that has ended; 0 is the status of one that was not answered."""
        method = scope["method"] if scope["method"] in METHODS else OTHER
        key = (method, getattr(scope.get("route"), "path", OTHER))
        self._counts[*key, str(status)] += 1
        if key not in self._spreads:
            self._spreads[key] = Spread(REQUEST_BOUNDS_S)
        self._spreads[key].observe(seconds)

    def read(self) -> Iterable[Metric]:
        """Show the service by its name, and its requests."""
        service = GaugeMetricFamily("modelbus_service", "1, under the service's name.", labels=["service"])
        service.add_metric([self._service], 1)
        yield service
        labels = ["method", "route"]
        counts = CounterMetricFamily("modelbus_http_requests", "Requests answered.", labels=[*labels, "status"])
        for key, count in self._counts.items():
            counts.add_metric(key, count)
        yield counts
        spreads = HistogramMetricFamily("modelbus_http_request_seconds", "Time to the last byte.", labels=labels)
        for names, spread in self._spreads.items():
            spread.add_to(spreads, names)
        yield spreads


class Counting:
    """ASGI middleware: has every request counted when it has ended."""

    def __init__(self, app: ASGIApp, requests: Requests) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = monotonic(), 0

        async def send_and_see(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, send_and_see)
        finally:
            self._requests.note(scope, status, monotonic() - began)


def routes(metrics: Metrics, requests: Requests, token: SecretStr | None) -> APIRouter:
    """Answer `/metrics`; where there is a token, to whoever shows it."""
    page = APIRouter()

    @page.get(PATH, include_in_schema=False)
    async def show_metrics(request: Request) -> Response:
        """Show the service's figures."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token is not None and not hmac.compare_digest(given.encode(), token.get_secret_value().encode()):
            detail = "this path needs the header 'Authorization: Bearer <MODELBUS_METRICS_TOKEN>'"
            return problems.respond(problems.problem(401, "unauthorized", detail), {"WWW-Authenticate": "Bearer"})
        body, kind = await metrics.render(requests, request.headers.get("accept", ""))
        return Response(body, media_type=kind)

    return page


def gauge(name: str, documentation: str, value: float) -> Metric:
    """Answer a figure of its own."""
    return GaugeMetricFamily(name, documentation, value=value)


def gauges[K: tuple[str, ...]](
    name: str, documentation: str, labels: Sequence[str], values: Mapping[K, float]
) -> Metric:
    """Answer figures by their labels."""
    return _filled(GaugeMetricFamily(name, documentation, labels=labels), values)


def counter(name: str, documentation: str, value: float) -> Metric:
    """Answer a count of its own; `_total` is put behind its name."""
    return CounterMetricFamily(name, documentation, value=value)


def counters[K: tuple[str, ...]](
    name: str, documentation: str, labels: Sequence[str], values: Mapping[K, float]
) -> Metric:
    """Answer counts by their labels; `_total` is put behind the name."""
    return _filled(CounterMetricFamily(name, documentation, labels=labels), values)


def _filled[K: tuple[str, ...]](family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[K, float]) -> Metric:
    for key, value in values.items():
        family.add_metric(key, value)
    return family
