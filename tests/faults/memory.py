"""What each process of a rig holds in memory, looked at again and again: flat once warm, of servers never too much."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import psutil

from faults.rig import SERVICES, Rig

LOOK_EVERY_S = 2.0
WARM_S = 45.0
"""After so long a service has loaded what it needs, and has served everything once."""
FEWEST = 15
"""Looks without which nothing can be said of a process: it did not live for long."""
OLD_S = 90.0
"""A process of a service that lives so long must have been judged."""
MOST_RATIO = 1.15
SLACK_MB = 12.0
MOST_MB = {"nats": 128.0, "postgres": 400.0}
"""What the servers may hold at most. They grow with what they store and who is connected, so they are not asked to be
flat. Of PostgreSQL all processes are added, without what they share."""


class Memory:
    """Sizes by service and process, from when each had warmed up, and the largest of each server."""

    def __init__(self) -> None:
        self.sizes: dict[tuple[str, int], list[float]] = defaultdict(list)
        self.largest = dict.fromkeys(MOST_MB, 0.0)

    async def look(self, rig: Rig) -> None:
        """Look again and again."""
        while True:
            for name in (*SERVICES, *MOST_MB):
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
            self.sizes[name, process.pid].append(held / 2**20)

    def growing(self) -> dict[str, tuple[float, float]]:
        """Answer the services of which a process held more in the end: MB in the first third of its time, and last."""
        return {
            service: (before, after)
            for (service, _), sizes in self.sizes.items()
            if len(sizes) >= FEWEST and not is_flat(before := _first(sizes), after := _last(sizes))
        }

    def judged(self) -> set[str]:
        """Name the services of which a process lived long enough to be judged."""
        return {service for (service, _), sizes in self.sizes.items() if len(sizes) >= FEWEST}

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


def _age_s(process: psutil.Process) -> float:
    return time.time() - process.create_time()


def _first(sizes: list[float]) -> float:
    return median(sizes[: len(sizes) // 3])


def _last(sizes: list[float]) -> float:
    return median(sizes[-(len(sizes) // 3) :])


@asynccontextmanager
async def remembering(rig: Rig) -> AsyncIterator[Memory]:
    """Look during the block."""
    memory = Memory()
    task = asyncio.create_task(memory.look(rig))
    try:
        yield memory
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
