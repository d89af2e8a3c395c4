"""Replicas under load: somebody who takes the next where one is away, and work that goes on meanwhile."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx

from modelbus.simulator import Simulator
from running import eventually
from system.lineup import Lineup

OVERTAKEN = "refused: a newer listing was applied meanwhile"
"""While one replica of sync is away, the other fetches, and the catalog reads both when it can."""


class Balancer:
    """What stands before replicas: where one accepts no connection, or closes it without an answer, it takes the next.

    A replica that is told to end may do the latter to a connection that it had not seen yet.
    """

    def __init__(self, *urls: str, headers: dict[str, str]) -> None:
        self.urls = urls
        # A connection for each request, as one that is kept may be closed in the moment when it is used.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(headers=headers, timeout=20, limits=limits)
        self.answered: Counter[str] = Counter()
        """By replica."""
        self.failed: Counter[str] = Counter()
        self.passed_over: list[str] = []
        """Who did not answer, and why."""

    async def send(self, turn: int, path: str, body: dict[str, Any], key: str | None = None) -> str | None:
        """Answer what was answered, if that was a success."""
        headers = {} if key is None else {"Idempotency-Key": key}
        for number in range(len(self.urls)):
            url, is_answered = self.urls[(turn + number) % len(self.urls)], False
            try:
                async with self._http.stream("POST", url + path, json=body, headers=headers) as answer:
                    is_answered = True
                    text = (await answer.aread()).decode()
            except httpx.TransportError as error:
                if is_answered:
                    self.failed[repr(error)] += 1
                    return None
                self.passed_over.append(f"{url}: {error!r}")
                continue
            if not answer.is_success:
                self.failed[str(answer.status_code)] += 1
                return None
            self.answered[url] += 1
            return text
        self.failed["nobody answers"] += 1
        return None

    async def aclose(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def kept_up(*work: Callable[[int], Awaitable[None]], rest_s: float = 0.02) -> AsyncIterator[None]:
    """Do each again and again during the block; what is under way at its end is brought to its end."""
    is_over = False

    async def repeat(one: Callable[[int], Awaitable[None]], number: int) -> None:
        while not is_over:
            await one(number)
            number += 1
            await asyncio.sleep(rest_s)

    async with asyncio.TaskGroup() as tasks:
        for number, one in enumerate(work):
            tasks.create_task(repeat(one, number))
        yield
        is_over = True


async def each_goes_on(*balancers: Balancer) -> None:
    """Wait until every replica has answered some more."""
    before = [each.answered.copy() for each in balancers]

    def have_answered() -> bool:
        for each, earlier in zip(balancers, before, strict=True):
            assert all(each.answered[url] > earlier[url] for url in each.urls), each.failed
        return True

    await eventually(have_answered, within_s=30)


class Lister:
    """Asks a supplier for its models again and again, of which there is one more each time."""

    def __init__(self, simulator: Simulator, syncs: Balancer, supplier_id: str) -> None:
        self.syncs = syncs
        self._simulator, self._supplier_id = simulator, supplier_id
        self.promised: list[str] = []

    @property
    def listed(self) -> list[str]:
        """The names that were listed when the last run was promised."""
        return [f"listed-{number}" for number in range(10 + len(self.promised))]

    async def ask(self, turn: int) -> None:
        """Ask, once no more than one run waits for another."""
        self._simulator.openrouter.serve_names(*self.listed)
        text = await self.syncs.send(turn, "/api/v1/runs", {"supplier_id": self._supplier_id})
        if text is not None:
            self.promised += json.loads(text)["run_ids"]
        await eventually(lambda: len(self._simulator.openrouter.exchanges) >= len(self.promised) - 1, within_s=30)


async def end(lineup: Lineup, run_id: str) -> str:
    """Answer how the run ended, and why, if there is a reason."""

    async def is_over() -> str | None:
        found = await lineup.ask("GET", "sync", f"/api/v1/runs/{run_id}")
        return ": ".join(filter(None, (found["status"], found["reason"]))) if found["ended_at"] else None

    how: str = await eventually(is_over, within_s=60)
    return how


async def all_is_heard(lineup: Lineup) -> bool:
    return await lineup.unheard() == 0
