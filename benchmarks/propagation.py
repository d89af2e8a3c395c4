"""How long a change needs from the answer that its administrator gets to being in force in the router."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from urllib.parse import quote

import httpx
from benchmarks.connection import Connection
from benchmarks.standing import administrator, standing
from benchmarks.tables import Say, Table, judged, median, quantile

from modelbus.chassis.feed import Applied, Follower
from modelbus.chassis.loops import stop
from modelbus.chassis.messaging import Bus
from modelbus.router.cache.table import SHELVES
from whole import System

CHANGES = 400
"""Of each kind of watching; they take turns in kind: display name, priority, disable, enable."""
REST_S = 0.02
"""The longest pause between two changes, drawn anew each time so that they fall in step with nothing."""
AIM_MS = 20.0
LATEST_S = 10.0
MODEL = "anthropic/claude-3-5-haiku"
"""Has one source only, so that disabling that one takes the model with it, and flags a chain and a level."""

type Watch = Callable[[int, float], Awaitable[float]]
"""Takes a revision and the time of its answer; answers the time at which it was in force."""


async def measure(directory: Path, say: Say) -> Table:
    """Change things one at a time, once watched through the router's own API and once by a follower in here."""
    async with standing(directory) as system:
        polls: list[float] = []
        async with administrator(system, "router") as router:
            say(f"{CHANGES} changes, asking the router in quick succession")
            asked = await _change(system, _polling(router, polls))
        async with _following(system) as follower:
            say(f"{CHANGES} changes, heard by a follower in this process")
            heard = await _change(system, follower.in_force)
    return _table(asked, heard, polls)


def _table(asked: list[float], heard: list[float], polls: list[float]) -> Table:
    early = sum(1 for each in heard if each < 0)
    aim = judged(f"p99 < {AIM_MS:.0f} ms", is_met=quantile(asked, 0.99) < AIM_MS)
    rows = [
        (f"in force in the router, upper bound ({len(asked)} changes)", *_milliseconds(asked), aim),
        ("one question to the router (the error of the row above)", *_milliseconds(polls), ""),
        (
            f"in force in a follower ({len(heard)} changes, {early} of them before the answer)",
            *_milliseconds(heard),
            "",
        ),
    ]
    figures = {"in_router_ms": asked, "poll_ms": polls, "in_follower_ms": heard}
    return Table(("ms after the answer", "p50", "p99", "max", "aim"), rows, figures)


def _milliseconds(values: list[float]) -> tuple[str, str, str]:
    return f"{median(values):.1f}", f"{quantile(values, 0.99):.1f}", f"{max(values):.1f}"


async def _change(system: System, watch: Watch) -> list[float]:
    """Make the changes; answer for each the milliseconds from its answer until it was in force."""
    took: list[float] = []
    async with administrator(system, "catalog") as catalog:
        changes = await _changes(catalog)
        for number in range(CHANGES):
            answer = await catalog.ask(changes[number % len(changes)](number))
            answered = perf_counter()
            answer.json()
            revision = int(answer.headers["x-modelbus-revision"])
            async with asyncio.timeout(LATEST_S):
                took.append(1000 * (await watch(revision, answered) - answered))
            await asyncio.sleep(random.uniform(0, REST_S))  # noqa: S311 - spreads the changes
    return took


async def _changes(catalog: Connection) -> list[Callable[[int], bytes]]:
    """Answer the requests that take turns, each made from its number, so that none repeats what is there already."""
    model = f"/api/v1/models/{quote(MODEL, safe='')}"
    offered = (await catalog.ask(catalog.request("GET", f"{model}/sources"))).json()["items"]
    source = f"/api/v1/sources/{offered[0]['id']}"
    return [
        lambda number: catalog.request("PATCH", model, {"display_name": f"Name {number} of {perf_counter()}"}),
        lambda number: catalog.request("PATCH", source, {"priority": number % 997}),
        lambda _: catalog.request("POST", f"{source}/disable?force=true"),
        lambda _: catalog.request("POST", f"{source}/enable"),
    ]


def _polling(router: Connection, polls: list[float]) -> Watch:
    """Ask the router which revision is in force, again and again; the time is that of the first answer that has it."""
    question = router.request("GET", "/api/v1/cache")

    async def watch(revision: int, _answered: float) -> float:
        while True:
            sent = perf_counter()
            answer = await router.ask(question)
            got = perf_counter()
            polls.append(1000 * (got - sent))
            if answer.json()["revision"] >= revision:
                return got

    return watch


@dataclass(slots=True)
class _Heard:
    """Notes when each revision came into force in the follower."""

    follower: Follower | None = None
    notes: list[tuple[int, float]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, _applied: Applied) -> None:
        assert self.follower is not None  # noqa: S101 - it is the follower that calls
        self.notes.append((self.follower.revision, perf_counter()))
        self.news.set()

    async def in_force(self, revision: int, _answered: float) -> float:
        while not self.notes or self.notes[-1][0] < revision:
            self.news.clear()
            await self.news.wait()
        return next(at for applied, at in self.notes if applied >= revision)


@asynccontextmanager
async def _following(system: System) -> AsyncIterator[_Heard]:
    """Follow the catalog as the router does, by the same code and for the same kinds of records."""
    found, heard = system.endpoints, _Heard()
    bus = Bus(found["nats_operator"], service="benchmark")
    token = {"Authorization": f"Bearer {found['service_token']}"}
    async with httpx.AsyncClient(base_url=found["catalog"], headers=token, trust_env=False) as catalog:
        heard.follower = Follower(catalog, bus, kinds=SHELVES, on_change=heard.note)
        bus.start()
        following = asyncio.create_task(heard.follower.run())
        try:
            await bus.connected()
            await heard.in_force(1, 0.0)
            yield heard
        finally:
            await stop([following])
            await bus.stop()
