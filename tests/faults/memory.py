"""What each process of a rig holds in memory, looked at again and again; flat once it has warmed up."""

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
FEWEST = 20
"""Looks without which nothing can be said of a process: it did not live for long."""
MOST_RATIO = 1.15
SLACK_MB = 12.0


class Memory:
    """Sizes by service and process, from when each had warmed up."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.sizes: dict[tuple[str, int], list[float]] = defaultdict(list)

    async def look(self) -> None:
        """Look again and again."""
        while True:
            for service in SERVICES:
                # Its process may have been killed just now.
                try:
                    process = psutil.Process(self._rig.endpoints["pids"][service])
                    if time.time() - process.create_time() > WARM_S:
                        self.sizes[service, process.pid].append(process.memory_info().rss / 2**20)
                except (psutil.NoSuchProcess, FileNotFoundError):
                    continue
            await asyncio.sleep(LOOK_EVERY_S)

    def growing(self) -> dict[str, tuple[float, float]]:
        """Answer the services of which a process held more in the end: MB in the first third of its time, and last."""
        return {
            service: (before, after)
            for (service, _), sizes in self.sizes.items()
            if len(sizes) >= FEWEST and not is_flat(before := _first(sizes), after := _last(sizes))
        }


def is_flat(before: float, after: float) -> bool:
    """Tell whether that is no growth: allocators and copies of the catalog come and go by some megabytes."""
    return after <= before * MOST_RATIO + SLACK_MB


def _first(sizes: list[float]) -> float:
    return median(sizes[: len(sizes) // 3])


def _last(sizes: list[float]) -> float:
    return median(sizes[-(len(sizes) // 3) :])


@asynccontextmanager
async def remembering(rig: Rig) -> AsyncIterator[Memory]:
    """Look during the block."""
    memory = Memory(rig)
    task = asyncio.create_task(memory.look())
    try:
        yield memory
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
