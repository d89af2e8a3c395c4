"""Runs the measurements one after another, prints their tables, and keeps the results."""

import argparse
import asyncio
import json
import shutil
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop
from benchmarks import (
    applying,
    bulk_change,
    catalog_at_size,
    gateways,
    hearing_usage,
    integrity_at_size,
    listing_at_size,
    many_routers,
    propagation,
    starting,
    storm,
    syncing,
    throughput,
    traces,
)
from benchmarks.surroundings import Surroundings, machine
from benchmarks.tables import Say, Table, between_markers

from modelbus.chassis.logs import configure_logs
from modelbus.launcher.directories import public_temporary_directory

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"
STOPPED = 130
"""Exit code of a program that Ctrl-C has ended."""

type Measure = Callable[[Path, Say], Awaitable[Table]]

MEASUREMENTS: Mapping[str, Measure] = {
    "propagation": propagation.measure,
    "starting": starting.measure,
    "applying": applying.measure,
    "syncing": syncing.measure,
    "throughput": throughput.measure,
    "traces": traces.measure,
    "gateways": gateways.measure,
    "storm": storm.measure,
    "catalog_at_size": catalog_at_size.measure,
    "bulk_change": bulk_change.measure,
    "listing_at_size": listing_at_size.measure,
    "integrity_at_size": integrity_at_size.measure,
    "hearing_usage": hearing_usage.measure,
    "many_routers": many_routers.measure,
}


def main() -> int:
    """Measure what was asked for; everything that was started is stopped at the end, also by Ctrl-C."""
    wishes = read_wishes()
    # A follower and a bus connection run in this process; their chatter does not belong between the progress lines.
    configure_logs("benchmarks", "error", "pretty")
    names = [wishes.only] if wishes.only else list(MEASUREMENTS)
    try:
        # The services run on the same event loop; a slower one here would be measured with them.
        blocks = asyncio.run(measure_all(names), loop_factory=uvloop.new_event_loop)
    except asyncio.CancelledError:
        print("Stopped; nothing runs any more")
        return STOPPED
    for name, block in blocks.items():
        print(f"\n## {name}\n\n{block}")
    if wishes.write:
        write_page(blocks)
    return 0


def read_wishes() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description="Measure Modelbus on this machine.")
    parser.add_argument("--only", choices=MEASUREMENTS, help="measure this alone")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    return parser.parse_args()


async def measure_all(names: Iterable[str]) -> dict[str, str]:
    """Measure one after another and answer each result in Markdown."""
    stop_on_signals()
    directory = public_temporary_directory("modelbus-benchmarks-")
    try:
        return {name: await measure_one(name, directory) for name in names}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def stop_on_signals() -> None:
    """End by cancelling, and by one cancellation alone: a second one would cut the stopping short."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, lambda: task.cancelling() or task.cancel())


async def measure_one(name: str, directory: Path) -> str:
    """Measure, keep the figures, and answer the block for the page."""

    def say(words: str) -> None:
        print(f"{name}: {words}", flush=True)

    surroundings, begun = Surroundings.observed(), perf_counter()
    table = await MEASUREMENTS[name](directory, say)
    told = surroundings.told()
    say(f"done in {perf_counter() - begun:.0f} s")
    keep(name, {"machine": machine(), "surroundings": told, "figures": table.figures})
    return f"{table.markdown()}\n\n{machine()}; {told}."


def keep(name: str, result: dict[str, Any]) -> None:
    """Write the figures beside those of the other measurements."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | {name: result}, indent=2) + "\n")


def write_page(blocks: Mapping[str, str]) -> None:
    """Put each block in the place of the one before."""
    page = PAGE.read_text()
    for name, block in blocks.items():
        page = between_markers(page, name, block)
    PAGE.write_text(page)
