"""The router beside a twin that does the same job the usual way: requests a second, and processor time for each."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from benchmarks.connection import Connection
from benchmarks.standing import standing
from benchmarks.tables import Say, Table, median, quantile

from running import free_port
from whole import System

CONNECTIONS = 16
ROUNDS = 5
ROUND_S = 2.0
WARM_UP_S = 1.0
START_S = 20.0
TWIN = Path(__file__).with_name("twin.py")
PROVIDER_KEY = "sim-openai-key-1"
PROMPT = {"messages": [{"role": "user", "content": "Tell me in one sentence what a bus is for."}]}


@dataclass(frozen=True, slots=True)
class Subject:
    """A server to be asked, and the process to be watched meanwhile."""

    name: str
    pid: int
    url: str
    path: str
    key: str
    model: str


@dataclass(frozen=True, slots=True)
class Round:
    """What one subject did in one round."""

    per_s: float
    cpu_ms: float
    """Processor time of the subject's process for each request."""
    busy: float
    """Share of one core that the process used."""
    p50_ms: float
    p99_ms: float


async def measure(directory: Path, say: Say) -> Table:
    """Load each in turn, round by round, so that a busier minute of the host hits all of them."""
    async with standing(directory) as system, _twin(system) as twin:
        subjects = [_router(system), twin, _provider(system)]
        rounds: dict[str, list[Round]] = {subject.name: [] for subject in subjects}
        for subject in subjects:
            await _round(subject, WARM_UP_S)
        for number in range(1, ROUNDS + 1):
            for subject in subjects:
                rounds[subject.name].append(await _round(subject, ROUND_S))
            told = ", ".join(f"{name} {done[-1].per_s:.0f}/s" for name, done in rounds.items())
            say(f"round {number} of {ROUNDS}: {told}")
    return _table(rounds)


def _router(system: System) -> Subject:
    found = system.endpoints
    path, model = "/v1/chat/completions", "openai/gpt-4o-mini"
    return Subject("router", found["pids"]["router"], found["router"], path, found["access_key"], model)


def _provider(system: System) -> Subject:
    """The simulated provider asked directly: nothing before it can be quicker."""
    found, path = system.endpoints, "/openai/v1/chat/completions"
    return Subject("provider alone", found["pids"]["simulator"], found["simulator"], path, PROVIDER_KEY, "gpt-4o-mini")


@asynccontextmanager
async def _twin(system: System) -> AsyncIterator[Subject]:
    """Run the twin as a process of its own before the same provider."""
    port, key = free_port(), "twin-key"
    known = {
        "TWIN_PORT": str(port),
        "TWIN_KEY": key,
        "TWIN_UPSTREAM": system.endpoints["simulator"] + "/openai/v1",
        "TWIN_UPSTREAM_KEY": PROVIDER_KEY,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(TWIN), env={**os.environ, **known}, start_new_session=True
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await _listening(process, url)
        yield Subject("twin", process.pid, url, "/v1/chat/completions", key, "openai/gpt-4o-mini")
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _listening(process: asyncio.subprocess.Process, url: str) -> None:
    async with asyncio.timeout(START_S):
        while process.returncode is None:
            try:
                async with Connection(url, ""):
                    return
            except OSError:
                await asyncio.sleep(0.05)
    raise RuntimeError(f"the twin ended with exit code {process.returncode}")


async def _round(subject: Subject, seconds: float) -> Round:
    """Keep the connections busy for that long; every answer must be a completion."""
    process, took = psutil.Process(subject.pid), list[float]()
    before, begun = process.cpu_times(), perf_counter()
    async with asyncio.TaskGroup() as callers:
        for _ in range(CONNECTIONS):
            callers.create_task(_call(subject, begun + seconds, took))
    past, after = perf_counter() - begun, process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return Round(
        len(took) / past, 1000 * cpu_s / len(took), cpu_s / past, 1000 * median(took), 1000 * quantile(took, 0.99)
    )


async def _call(subject: Subject, until: float, took: list[float]) -> None:
    async with Connection(subject.url, subject.key) as connection:
        request = connection.request("POST", subject.path, {**PROMPT, "model": subject.model})
        while (begun := perf_counter()) < until:
            answer = await connection.ask(request)
            took.append(perf_counter() - begun)
            if answer.status != 200 or b'"choices"' not in answer.body:
                raise RuntimeError(f"{subject.name} answered {answer.status}: {answer.body[:300]!r}")


def _table(rounds: dict[str, list[Round]]) -> Table:
    middle = {
        name: Round(*(median([getattr(one, column) for one in done]) for column in Round.__slots__))
        for name, done in rounds.items()
    }
    rows = [(name, *_cells(each, rounds[name])) for name, each in middle.items()]
    router, twin = middle["router"], middle["twin"]
    more, less = router.per_s / twin.per_s, twin.cpu_ms / router.cpu_ms
    ratio = ("**router against twin**", f"**{more:.1f} times**", f"**{less:.1f} times less**", "", "", "")
    about = f"{CONNECTIONS} connections, median of {ROUNDS} rounds (range)"
    columns = (about, "requests/s", "CPU ms a request", "of one core", "p50 ms", "p99 ms")
    figures: dict[str, Any] = {name: [_plain(one) for one in done] for name, done in rounds.items()}
    return Table(columns, [*rows, ratio], figures)


def _cells(middle: Round, done: list[Round]) -> tuple[str, ...]:
    return (
        f"{middle.per_s:.0f} ({_spread([one.per_s for one in done], 0)})",
        f"{middle.cpu_ms:.2f} ({_spread([one.cpu_ms for one in done], 2)})",
        f"{100 * middle.busy:.0f} %",
        f"{middle.p50_ms:.1f}",
        f"{middle.p99_ms:.1f}",
    )


def _spread(values: list[float], digits: int) -> str:
    return f"{min(values):.{digits}f}-{max(values):.{digits}f}"


def _plain(one: Round) -> dict[str, float]:
    return {column: getattr(one, column) for column in Round.__slots__}
