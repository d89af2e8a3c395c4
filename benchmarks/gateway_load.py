"""The loads that gateways are put under, and what they cost the gateway's own processes."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benchmarks.connection import Connection
from benchmarks.gateway_subjects import PACED, SLOW, Subject
from benchmarks.tables import median, quantile

_OK = 200
_SAID = "Tell me in one sentence what a bus is for."


@dataclass(frozen=True, slots=True)
class Load:
    """So many callers, each asking one thing after another."""

    connections: int
    prompt_bytes: int = len(_SAID)


@dataclass(frozen=True, slots=True)
class Burden:
    """What a load came to."""

    count: int
    per_s: float
    cpu_ms: float
    """Processor time of the gateway's processes for each request."""
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Opened:
    """What many streams at once came to."""

    failed: int
    peak_mb: float


async def closed_loop(subject: Subject, load: Load, seconds: float) -> Burden:
    """Keep the connections busy for that long; every answer must be a completion."""
    prompt = (_SAID * (load.prompt_bytes // len(_SAID) + 1))[: load.prompt_bytes]

    async def call(took: list[float]) -> None:
        async with Connection(subject.url, subject.key) as connection:
            request = connection.request("POST", subject.path, _asked(subject.model, prompt))
            until = perf_counter() + seconds
            while (begun := perf_counter()) < until:
                answer = await connection.ask(request)
                took.append(perf_counter() - begun)
                _demand(subject, answer.status, answer.body)

    return await _burden(subject, lambda took: _together(load.connections, lambda: call(took)))


async def at_pace(subject: Subject, *, per_s: int, seconds: float) -> Burden:
    """Ask so often, whether or not earlier answers are there; times count from when a request was due."""

    async def ask(free: asyncio.Queue[Connection], due: float, took: list[float]) -> None:
        connection = await free.get()
        answer = await connection.ask(connection.request("POST", subject.path, _asked(subject.model, _SAID)))
        took.append(perf_counter() - due)
        _demand(subject, answer.status, answer.body)
        free.put_nowait(connection)

    async def call(took: list[float]) -> None:
        free: asyncio.Queue[Connection] = asyncio.Queue()
        connections = [await Connection(subject.url, subject.key).__aenter__() for _ in range(32)]
        for connection in connections:
            free.put_nowait(connection)
        begun = perf_counter()
        async with asyncio.TaskGroup() as asked:
            for number in range(int(per_s * seconds)):
                due = begun + number / per_s
                await asyncio.sleep(max(0.0, due - perf_counter()))
                asked.create_task(ask(free, due, took))
        for connection in connections:
            await connection.__aexit__()

    return await _burden(subject, call)


async def streams(subject: Subject, *, at_once: int, rounds: int) -> Burden:
    """Read streams of 32 chunks, one each 5 ms."""

    async def call(took: list[float]) -> None:
        async with Connection(subject.url, subject.key) as connection:
            request = connection.request("POST", subject.path, _asked(subject.prefix + PACED, _SAID, stream=True))
            for _ in range(rounds):
                begun = perf_counter()
                body = await connection.ask_stream(request)
                took.append(perf_counter() - begun)
                _demand(subject, _OK if b"[DONE]" in body else 0, body)

    return await _burden(subject, lambda took: _together(at_once, lambda: call(took)))


async def open_streams(subject: Subject, count: int) -> Opened:
    """Hold so many streams open at once, each of five seconds."""
    failed, peak = 0, subject.resident_mb

    async def call() -> None:
        nonlocal failed
        async with Connection(subject.url, subject.key) as connection:
            request = connection.request("POST", subject.path, _asked(subject.prefix + SLOW, _SAID, stream=True))
            failed += b"[DONE]" not in await connection.ask_stream(request)

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, subject.resident_mb)
            await asyncio.sleep(0.2)

    watching = asyncio.create_task(watch())
    await _together(count, call)
    watching.cancel()
    return Opened(failed, peak)


async def _burden(subject: Subject, run: Callable[[list[float]], Awaitable[None]]) -> Burden:
    took: list[float] = []
    before, begun = subject.busy_s, perf_counter()
    await run(took)
    past, busy_s = perf_counter() - begun, subject.busy_s - before
    cpu_ms = 1000 * busy_s / len(took)
    return Burden(
        len(took), len(took) / past, cpu_ms, 1000 * median(took), 1000 * quantile(took, 0.99), 1000 * max(took)
    )


async def _together(count: int, call: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(call() for _ in range(count)))


def _asked(model: str, prompt: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}


def _demand(subject: Subject, status: int, body: bytes) -> None:
    if status != _OK or b'"choices"' not in body:
        raise RuntimeError(f"{subject.name} answered {status}: {body[:300]!r}")
