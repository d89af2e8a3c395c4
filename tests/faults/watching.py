"""What is looked at while a fault lasts: how far the routers' copies are behind, and when all is well again."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from faults.load import Load
from faults.rig import CATALOGS, ROUTERS, Rig
from running import eventually

LOOK_EVERY_S = 0.1
RECOVERED_WITHIN_S = 120.0


class Watch:
    """Notes the worst that was seen of each router's copy."""

    def __init__(self, rig: Rig, load: Load) -> None:
        self._rig = rig
        self._load = load
        self.worst_s = dict.fromkeys(ROUTERS, 0.0)
        """The oldest answered change, that a router that answers did not know of."""

    async def look(self, router: str) -> None:
        """Look at one router again and again."""
        http = self._rig.http(router)
        while True:
            try:
                cache = (await http.get("/api/v1/cache", timeout=2)).json()
            except httpx.TransportError:
                pass
            else:
                self._note(router, cache["revision"])
            await asyncio.sleep(LOOK_EVERY_S)

    def _note(self, router: str, revision: int) -> None:
        unknown = [at for number, at in self._load.commits.items() if number > revision]
        # What was answered while the router was asked is no older than the question.
        behind = time.monotonic() - min(unknown) if unknown else 0.0
        self.worst_s[router] = max(self.worst_s[router], behind)


@asynccontextmanager
async def watching(rig: Rig, load: Load) -> AsyncIterator[Watch]:
    """Look at both routers during the block."""
    watch = Watch(rig, load)
    tasks = [asyncio.create_task(watch.look(router)) for router in ROUTERS]
    try:
        yield watch
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def steady(load: Load, more: int = 5, within_s: float = RECOVERED_WITHIN_S) -> None:
    """Wait until every administrator and every caller has got some more answers."""
    commits, calls = load.commits_at.copy(), {name: each.answered for name, each in load.calls.items()}

    def goes_on() -> bool:
        return all(load.commits_at[each] >= commits[each] + more for each in CATALOGS) and all(
            each.answered >= calls[name] + more for name, each in load.calls.items()
        )

    await eventually(goes_on, within_s=within_s)


async def recovered(rig: Rig, load: Load) -> float:
    """Wait until all is as before the fault, and answer how many seconds that took.

    That is: everybody gets answers again, the routers know of a change that was made meanwhile, all services are ready.
    """
    began = time.monotonic()
    await steady(load, more=1)
    revision = max(load.commits)

    async def know() -> bool:
        for router in ROUTERS:
            try:
                cache = (await rig.http(router).get("/api/v1/cache", timeout=2)).json()
            except httpx.TransportError:
                return False
            if cache["revision"] < revision or cache["is_stale"]:
                return False
        return True

    await eventually(know, within_s=RECOVERED_WITHIN_S)
    await rig.all_ready()
    return time.monotonic() - began
