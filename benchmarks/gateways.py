"""The router beside nginx, a twin and any gateway whose base URL is given: same provider, same load, same minutes."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.gateway_aims import aims_of
from benchmarks.gateway_load import Load, at_pace, closed_loop, open_streams, streams
from benchmarks.gateway_subjects import Subject, bare_router, given_peers, large_router, nginx, provider, router, twin
from benchmarks.tables import Say, Table, median

ROUNDS = 3
ROUND_S = 3.0
MANY = 100_000
BIG_PROMPT = 16 * 1024

type Figures = dict[str, dict[str, float]]
"""Of each subject, by name of the figure."""


async def measure(directory: Path, say: Say) -> Table:
    """Measure every subject in turns, and then what only the router has aims for."""
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(provider(directory))
        subjects = [await stack.enter_async_context(start(directory, upstream)) for start in (router, twin)]
        if (proxy := await stack.enter_async_context(nginx(directory, upstream))) is not None:
            subjects.append(proxy)
        else:
            say("nginx is not installed, so nothing is measured against it (Debian and Ubuntu: apt install nginx)")
        subjects += [*given_peers(), upstream]
        figures: Figures = {subject.name: {} for subject in subjects}
        idle_mb = subjects[0].resident_mb
        await _in_turns(subjects, figures, say)
        figures["router"] |= {"idle_mb": idle_mb} | await _of_the_router(subjects[0], say)
        figures["router"]["of_two"] = await _of_two_workers(subjects[0], directory, upstream)
    figures["router"]["sources_mb"] = await _with_many_sources(directory, say)
    return _table(figures)


async def _in_turns(subjects: list[Subject], figures: Figures, say: Say) -> None:
    """Round by round, so that a busier minute of the host hits all of them."""
    rounds: dict[str, list[dict[str, float]]] = {subject.name: [] for subject in subjects}
    for subject in subjects:
        await closed_loop(subject, Load(64), 1.0)
    for number in range(1, ROUNDS + 1):
        for subject in subjects:
            rounds[subject.name].append(await _round(subject))
        told = ", ".join(f"{name} {done[-1]['small_cpu_ms']:.3f} ms" for name, done in rounds.items())
        say(f"round {number} of {ROUNDS}, processor time of a small request: {told}")
    for name, done in rounds.items():
        figures[name] = {column: median([one[column] for one in done]) for column in done[0]}


async def _round(subject: Subject) -> dict[str, float]:
    small = await closed_loop(subject, Load(64), ROUND_S)
    large = await closed_loop(subject, Load(16, BIG_PROMPT), ROUND_S)
    paced = await at_pace(subject, per_s=200, seconds=ROUND_S)
    streamed = await streams(subject, at_once=64, rounds=4) if subject.streams else None
    return {
        "small_per_s": small.per_s,
        "small_cpu_ms": small.cpu_ms,
        "large_cpu_ms": large.cpu_ms,
        "paced_p50_ms": paced.p50_ms,
        "paced_p99_ms": paced.p99_ms,
        **({"stream_cpu_ms": streamed.cpu_ms} if streamed else {}),
    }


async def _of_the_router(subject: Subject, say: Say) -> dict[str, float]:
    done = 0
    while done < MANY:
        done += (await closed_loop(subject, Load(64), 5.0)).count
    busy_mb = subject.resident_mb
    say(f"after {done} requests more: {busy_mb:.0f} MB")
    opened = await open_streams(subject, 1000)
    say(f"1000 streams at once: {opened.failed} failed, {opened.peak_mb:.0f} MB")
    return {
        "busy_mb": busy_mb,
        "open_streams_failed": float(opened.failed),
        "open_streams_mb": opened.peak_mb,
        "after_streams_mb": subject.resident_mb,
    }


async def _of_two_workers(one: Subject, directory: Path, upstream: Subject) -> float:
    """Answer how many times the requests of one worker two serve, each in as much processor time as that one had."""
    alone = await closed_loop(one, Load(64), ROUND_S)
    async with router(directory, upstream) as other:
        # As many callers for each: a worker that has more to do at a time takes less for each.
        both = await asyncio.gather(*(closed_loop(each, Load(64), ROUND_S) for each in (one, other)))
    spent_ms = sum(each.count * each.cpu_ms for each in both) / sum(each.count for each in both)
    return 2 * alone.cpu_ms / spent_ms


async def _with_many_sources(directory: Path, say: Say) -> float:
    """Answer how much more memory a router holds that knows a hundred thousand sources."""
    held = []
    for start in (bare_router, large_router):
        async with start(directory) as subject:
            await asyncio.sleep(2)  # whatever a start leaves is let go
            held.append(subject.resident_mb)
    say(f"memory without and with 100,000 sources: {held[0]:.0f} and {held[1]:.0f} MB")
    return held[1] - held[0]


def _table(figures: Figures) -> Table:
    names = {
        "small_per_s": ("requests/s, 64 connections", 0),
        "small_cpu_ms": ("processor ms a request", 3),
        "large_cpu_ms": ("... with a 16 KB prompt", 3),
        "paced_p50_ms": ("ms at 200/s, p50", 2),
        "paced_p99_ms": ("p99", 2),
        "stream_cpu_ms": ("processor ms a 32-chunk stream", 2),
    }
    rows: list[tuple[str, ...]] = [
        (name, *(_cell(found, column, digits) for column, (_, digits) in names.items()), "")
        for name, found in figures.items()
    ]
    blank = [""] * (len(names) - 1)
    rows += [(about, measured, *blank, verdict) for about, measured, verdict in aims_of(figures)]
    plain: dict[str, Any] = dict(figures)
    return Table((f"median of {ROUNDS} rounds", *(words for words, _ in names.values()), "aim"), rows, plain)


def _cell(found: Mapping[str, float], column: str, digits: int) -> str:
    return f"{found[column]:.{digits}f}" if column in found else ""
