"""What each process of a rig holds in memory, looked at again and again: flat once warm, of servers never too much."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count
from statistics import median
from typing import NamedTuple

import psutil

from faults.rig import SERVICES, Rig

LOOK_EVERY_S = 2.0
SERVERS_EACH = 5
"""Servers are looked at each so many times, as it takes 50 ms to add up all processes of PostgreSQL."""
WARM_S = 45.0
"""After so long a service has loaded what it needs, and has served everything once."""
FEWEST = 15
"""Looks without which nothing can be said of a process: it did not live for long."""
OLD_S = 90.0
"""A process of a service that lives so long must have been judged."""
MOST_RATIO = 1.15
SLACK_MB = 12.0
CREEP_MB_PER_MINUTE = 0.5
CREEP_SLACK_MB = 2.0
"""What is last of getting warm: four megabytes a minute at first, 0.2 after three minutes."""
MOST_MB = {"nats": 256.0, "postgres": 400.0}
"""What the servers may hold at most. They grow with what they store and who is connected, so they are not asked to be
flat. Of PostgreSQL all processes are added, without what they share."""


class Look(NamedTuple):
    """What a process held, and when (monotonic)."""

    at: float
    mb: float


class Memory:
    """Looks by service and process, from when each had warmed up, and the largest of each server."""

    def __init__(self) -> None:
        self.looks: dict[tuple[str, int], list[Look]] = defaultdict(list)
        self.largest = dict.fromkeys(MOST_MB, 0.0)

    async def look(self, rig: Rig) -> None:
        """Look again and again."""
        for number in count():
            for name in (*SERVICES, *([] if number % SERVERS_EACH else MOST_MB)):
                # Its process may have been killed just now.
                try:
                    self._note(name, psutil.Process(rig.endpoints["pids"][name]))
                except (psutil.NoSuchProcess, FileNotFoundError):
                    continue
            await asyncio.sleep(LOOK_EVERY_S)

    def _note(self, name: str, process: psutil.Process) -> None:
        if name in MOST_MB:
            held = sum(each.memory_full_info().uss for each in (process, *process.children(recursive=True)))
            self.largest[name] = max(self.largest[name], held / 2**20)
        # One that was killed just now holds nothing.
        elif _age_s(process) > WARM_S and (held := process.memory_info().rss):
            self.looks[name, process.pid].append(Look(time.monotonic(), held / 2**20))

    def growing(self) -> dict[str, tuple[float, float]]:
        """Answer the services of which a process held more in the end: MB in the first third of its time, and last."""
        thirds = [(service, _thirds(looks)) for (service, _), looks in self.looks.items() if len(looks) >= FEWEST]
        sizes = [(service, median(_sizes(first)), median(_sizes(last))) for service, (first, last) in thirds]
        return {service: (before, after) for service, before, after in sizes if not is_flat(before, after)}

    def creeping(self, since: float) -> dict[str, str]:
        """Answer the services of which a process held more and more since then, or could not be judged, and say so."""
        seen = {
            service: [look for look in looks if look.at >= since]
            for (service, _), looks in self.looks.items()
            if looks[-1].at >= since
        }
        told = {service: _creep(seen.get(service, [])) for service in SERVICES}
        return {service: what for service, what in told.items() if what}

    def judged(self) -> set[str]:
        """Name the services of which a process lived long enough to be judged."""
        return {service for (service, _), looks in self.looks.items() if len(looks) >= FEWEST}

    def unjudged(self, rig: Rig) -> set[str]:
        """Name the services whose process lives for so long that it must have been judged, and was not."""
        pids = rig.endpoints["pids"]
        old = {service for service in SERVICES if _age_s(psutil.Process(pids[service])) > OLD_S}
        return old - self.judged()

    def too_large(self) -> dict[str, float]:
        """Answer the servers that held more than they may, in MB."""
        return {name: size for name, size in self.largest.items() if not 0 < size <= MOST_MB[name]}


def is_flat(before: float, after: float) -> bool:
    """Tell whether that is no growth: allocators and copies of the catalog come and go by some megabytes."""
    return after <= before * MOST_RATIO + SLACK_MB


def _creep(looks: Sequence[Look]) -> str:
    """Say by how much that crept up, or nothing: what comes and goes stands on a floor, and the floor is judged."""
    if len(looks) < FEWEST:
        return f"{len(looks)} looks"
    first, last = _thirds(looks)
    risen, minutes = min(_sizes(last)) - min(_sizes(first)), (last[0].at - first[0].at) / 60
    return f"{risen:.1f} MB in {minutes:.1f} min" if risen > CREEP_SLACK_MB + CREEP_MB_PER_MINUTE * minutes else ""


def _age_s(process: psutil.Process) -> float:
    return time.time() - process.create_time()


def _thirds(looks: Sequence[Look]) -> tuple[Sequence[Look], Sequence[Look]]:
    """Answer the first third and the last."""
    third = len(looks) // 3
    return looks[:third], looks[-third:]


def _sizes(looks: Sequence[Look]) -> list[float]:
    return [look.mb for look in looks]


@asynccontextmanager
async def remembering(rig: Rig) -> AsyncIterator[Memory]:
    """Look during the block."""
    memory = Memory()
    task = asyncio.create_task(memory.look(rig))
    try:
        yield memory
    finally:
        task.cancel()
        # What ended before it was told to looked at nothing any more, and says why.
        with suppress(asyncio.CancelledError):
            await task
