"""How long the system takes to start, for the first time and again, and how much memory each process holds idle."""

import asyncio
from pathlib import Path

import psutil
from benchmarks.standing import new_home, started
from benchmarks.tables import Say, Table, judged, median

from whole import System, environment_for

RUNS = 3
QUIET_S = 10.0
FIRST_AIM_S, SECOND_AIM_S = 20.0, 8.0
MIB = 1024 * 1024

type Memory = dict[str, tuple[float, float]]
"""Process -> resident and proportional MB, its children included."""


async def measure(directory: Path, say: Say) -> Table:
    """Start new homes and start each again; at the end of the last one wait for quiet and look at the memory."""
    first: list[float] = []
    second: list[float] = []
    memory: Memory = {}
    for run in range(1, RUNS + 1):
        home = new_home(directory)
        environment = environment_for(home)
        async with started(home, environment) as (_, seconds):
            first.append(seconds)
        async with started(home, environment) as (system, seconds):
            second.append(seconds)
            say(f"run {run} of {RUNS}: first start {first[-1]:.1f} s, second {second[-1]:.1f} s")
            if run == RUNS:
                await asyncio.sleep(QUIET_S)
                memory = memory_of(system)
    return _table(first, second, memory)


def memory_of(system: System) -> Memory:
    """Look at the launcher, its guard, and every process that it tells of."""
    pids = dict(system.endpoints["pids"])
    launcher = psutil.Process(pids.pop("launcher"))
    guards = [child for child in launcher.children() if child.pid not in pids.values()]
    held = {name: _held(_with_children(psutil.Process(pid))) for name, pid in pids.items()}
    return {**held, "launcher and its guard": _held([launcher, *guards])}


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _held(processes: list[psutil.Process]) -> tuple[float, float]:
    found = [process.memory_full_info() for process in processes]
    # Where the system does not divide what is shared (macOS), what is a process's own comes nearest.
    proportional = sum(getattr(each, "pss", each.uss) for each in found)
    return sum(each.rss for each in found) / MIB, proportional / MIB


def _table(first: list[float], second: list[float], memory: Memory) -> Table:
    starts = [
        (f"first start, in a new home (median of {RUNS})", f"{median(first):.1f} s", _aim(first, FIRST_AIM_S)),
        (f"second start (median of {RUNS})", f"{median(second):.1f} s", _aim(second, SECOND_AIM_S)),
    ]
    held = [
        (f"memory of {name}", f"{resident:.0f} MB resident, {proportional:.0f} MB proportional", "")
        for name, (resident, proportional) in memory.items()
    ]
    total = sum(proportional for _, proportional in memory.values())
    figures = {"first_s": first, "second_s": second, "memory_mb": memory}
    whole = ("memory of all together", f"{total:.0f} MB proportional", "")
    return Table(("start and idle memory", "measured", "aim"), [*starts, *held, whole], figures)


def _aim(seconds: list[float], aim_s: float) -> str:
    return judged(f"< {aim_s:.0f} s", is_met=median(seconds) < aim_s)
