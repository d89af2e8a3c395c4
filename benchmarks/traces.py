"""What traces cost the router: off, and on for a share of the requests, before a collector that swallows."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from aiohttp import web
from benchmarks.gateway_load import Burden, Load, closed_loop
from benchmarks.gateway_subjects import PROVIDER_KEY, SMALL, Subject, provider, router_process
from benchmarks.tables import Say, Table, judged, median
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from router.routers import KEY
from router.seeding import Seed
from testing_bus import local_bus

CONNECTIONS = 16
ROUNDS = 9
ROUND_S = 2.0
AIM = 1.05
SPANS_A_REQUEST = 2
NEVER, OFF = "no code for traces", "off"
SHARES = ("0.01", "0.1", "1")
UNTRACED = (str(Path(__file__).with_name("untraced.py")),)


@dataclass(slots=True)
class Swallower:
    """A collector that takes whatever it is told; counted afterwards, so that counting costs nothing meanwhile."""

    url: str = ""
    taken: dict[str, list[bytes]] = field(default_factory=dict)
    """By who tells."""

    async def swallow(self, request: web.Request) -> web.Response:
        """Take a batch."""
        self.taken.setdefault(request.match_info["teller"], []).append(await request.read())
        return web.Response(body=b"", content_type="application/x-protobuf")

    def count(self, teller: str) -> int:
        """Answer how many spans have come."""
        return sum(
            len(scope.spans)
            for body in self.taken.get(teller, ())
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
        )


async def measure(directory: Path, say: Say) -> Table:
    """Load each router in turn, so that a busier minute of the host hits all of them."""
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(_swallowing())
        subjects = await _routers(stack, directory, collector)
        rounds: dict[str, list[Burden]] = {subject.name: [] for subject in subjects}
        for subject in subjects:
            await closed_loop(subject, Load(CONNECTIONS), 1.0)
        collector.taken.clear()
        for number in range(ROUNDS):
            # Whoever is first in one round is last in the next: a frequency that sinks hits nobody more.
            for subject in subjects if number % 2 else reversed(subjects):
                rounds[subject.name].append(await closed_loop(subject, Load(CONNECTIONS), ROUND_S))
            told = ", ".join(f"{name} {done[-1].cpu_ms:.3f} ms" for name, done in rounds.items())
            say(f"round {number + 1} of {ROUNDS}, processor time of a request: {told}")
    return _table(rounds, {name: collector.count(name.rpartition(" ")[2]) for name in rounds})


async def _routers(stack: AsyncExitStack, directory: Path, collector: Swallower) -> list[Subject]:
    upstream = await stack.enter_async_context(provider(directory))
    seed = Seed()
    seed.key(KEY)
    supplier = seed.supplier("provider", upstream.url + "/openai/v1")
    seed.credential(supplier, PROVIDER_KEY)
    seed.source(seed.model(SMALL), supplier, SMALL)

    async def start(name: str, program: tuple[str, ...], more: Mapping[str, str]) -> Subject:
        bus = await stack.enter_async_context(local_bus(directory))
        running = router_process(directory, seed, bus.url, program=program, more=more)
        return replace(await stack.enter_async_context(running), name=name)

    serve, nothing = ("-m", "modelbus.router", "serve"), MappingProxyType[str, str]({})
    traced = [
        await start(f"on, share {share}", serve, {"TRACES_URL": f"{collector.url}/{share}", "TRACES_SHARE": share})
        for share in SHARES
    ]
    return [await start(NEVER, UNTRACED, nothing), await start(OFF, serve, nothing), *traced]


@asynccontextmanager
async def _swallowing() -> AsyncIterator[Swallower]:
    collector, app = Swallower(), web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/{teller}/v1/traces", collector.swallow)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    collector.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield collector
    await runner.cleanup()


def _table(rounds: Mapping[str, list[Burden]], spans: Mapping[str, int]) -> Table:
    rows = []
    for name, done in rounds.items():
        asked = sum(each.count for each in done)
        cpu = _ratio(rounds, name, "cpu_ms")
        rows.append(
            (
                name,
                f"{median([each.per_s for each in done]):.0f}",
                f"{median([each.cpu_ms for each in done]):.3f}",
                f"{cpu:.3f}" + (f" ({judged('at most 1.05', is_met=cpu <= AIM)})" if name == OFF else ""),
                f"{_ratio(rounds, name, 'per_s'):.3f}",
                f"{spans[name] / SPANS_A_REQUEST / asked:.1%}",
            )
        )
    columns = (
        f"{CONNECTIONS} connections, median of {ROUNDS} rounds",
        "requests/s",
        "CPU ms a request",
        "of CPU without the code",
        "of requests/s",
        "requests that the collector got",
    )
    figures = {name: [asdict(each) for each in done] for name, done in rounds.items()}
    return Table(columns, rows, {**figures, "spans": dict(spans)})


def _ratio(rounds: Mapping[str, list[Burden]], name: str, figure: str) -> float:
    """Compare within each round, which has seen the same minute, and take the middle of that."""
    pairs = zip(rounds[name], rounds[NEVER], strict=True)
    return median([getattr(one, figure) / getattr(other, figure) for one, other in pairs])
