"""Two catalogs and two routers are replaced one after another under load: callers and administrators go on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

import builders
from modelbus.simulator import Fault, running_simulator
from running import eventually
from system.lineup import ADMINISTRATOR, Installation, Lineup, lined_up

pytestmark = pytest.mark.system

CATALOGS, ROUTERS = ("catalog", "catalog-2"), ("router", "router-2")
MODEL = "rolling-model"
RETRYABLE = {"503"}
STREAMED_S = 0.4
"""About how long an answer takes, so that some are under way whenever a router is told to end."""


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


async def seed(lineup: Lineup, simulator_url: str) -> str:
    """Make one model that the simulator serves, and answer an access key."""
    async with httpx.AsyncClient(base_url=lineup.url("catalog"), headers=ADMINISTRATOR, timeout=20) as http:
        supplier = await builders.a_supplier(http, base_url=simulator_url, requires_credential=True)
        await builders.a_credential(http, supplier["id"], secret="sim-openai-key-1")
        model = await builders.a_model(http, name=MODEL)
        await builders.a_source(http, model["id"], supplier["id"], upstream_name="gpt-4o")
        made = await http.post("/api/v1/access-keys", json={"name": "rolling"})
        key: str = made.raise_for_status().json()["key"]
        return key


@asynccontextmanager
async def kept_up(*work: Callable[[int], Awaitable[None]]) -> AsyncIterator[None]:
    """Do each again and again during the block; what is under way at its end is brought to its end."""
    is_over = False

    async def repeat(one: Callable[[int], Awaitable[None]], number: int) -> None:
        while not is_over:
            await one(number)
            number += 1
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        for number, one in enumerate(work):
            tasks.create_task(repeat(one, number))
        yield
        is_over = True


async def test_replicas_are_replaced_one_by_one_and_no_completion_fails(
    installation: Installation, tmp_path: Path
) -> None:
    async with running_simulator() as simulator, lined_up(installation, tmp_path) as lineup:
        simulator.openai.misbehave(Fault(tokens_per_second=10 / STREAMED_S))
        for part in ("postgres", "nats", *CATALOGS, *ROUTERS):
            await lineup.start(part)
        key = await seed(lineup, simulator.base_url(simulator.openai))
        await lineup.ready(*CATALOGS, *ROUTERS)
        await lineup.caught_up(*ROUTERS)
        written: set[str] = set()
        async with (
            aclosing(Balancer(*map(lineup.url, ROUTERS), headers={"Authorization": f"Bearer {key}"})) as callers,
            aclosing(Balancer(*map(lineup.url, CATALOGS), headers=ADMINISTRATOR)) as writers,
        ):

            async def call(turn: int) -> None:
                asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
                text = await callers.send(turn, "/v1/chat/completions", asked)
                if text is not None and not text.endswith("data: [DONE]\n\n"):
                    callers.failed["cut short"] += 1

            async def write(turn: int) -> None:
                name = f"rolling/{turn}"
                if await writers.send(turn, "/api/v1/models", {"name": name}, key=name) is not None:
                    written.add(name)

            async with kept_up(call, call, call, write):
                for part in (*CATALOGS, *ROUTERS):
                    await each_goes_on(callers, writers)
                    await lineup.restart(part)
                await each_goes_on(callers, writers)
            await lineup.caught_up(*ROUTERS)
            stored = await models(installation)

    assert callers.failed == {}
    assert writers.failed.keys() <= RETRYABLE
    assert written <= stored


async def models(installation: Installation) -> set[str]:
    connection = await asyncpg.connect(installation.database.superuser())
    rows = await connection.fetch("SELECT name FROM catalog.models WHERE deleted_at IS NULL")
    await connection.close()
    return {row[0] for row in rows}


async def each_goes_on(*balancers: Balancer) -> None:
    """Wait until every replica has answered some more."""
    before = [each.answered.copy() for each in balancers]

    def have_answered() -> bool:
        for each, earlier in zip(balancers, before, strict=True):
            assert all(each.answered[url] > earlier[url] for url in each.urls), each.failed
        return True

    await eventually(have_answered, within_s=30)
