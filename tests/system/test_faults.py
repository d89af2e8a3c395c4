"""Processes are killed under load: no change is lost or told twice, caches end true, callers are served."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import nats
import openai
import pytest

from running import eventually
from whole import System

pytestmark = pytest.mark.system

HELLO: Any = [{"role": "user", "content": "Hello"}]
FLAGGED = "openai/o1-preview"
"""Named once in the demonstration, by the complexity routing's hardest level."""


class Load:
    """An administrator who never stops changing things, and a caller who never stops asking."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.is_over = False
        self.committed = 0
        self.refused = 0
        self.answered = 0
        self.failures: list[str] = []

    async def write(self) -> None:
        http = self._system.http("catalog")
        while not self.is_over:
            try:
                answer = await http.post("/api/v1/models", json={"name": f"load/{uuid4().hex}"}, timeout=5)
                self.committed += answer.status_code == httpx.codes.CREATED
                self.refused += answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
            except httpx.TransportError:
                self.refused += 1
            await asyncio.sleep(0.01)

    async def call(self) -> None:
        async with self._system.openai() as client:
            while not self.is_over:
                try:
                    await client.chat.completions.create(model="openai/gpt-4o-mini", messages=HELLO)
                    self.answered += 1
                except openai.OpenAIError as error:
                    self.failures.append(repr(error))
                await asyncio.sleep(0.01)


@asynccontextmanager
async def load(system: System) -> AsyncIterator[Load]:
    """Keep the load on during the block; what is under way at its end is brought to its end."""
    running = Load(system)
    tasks = [asyncio.create_task(running.write()), asyncio.create_task(running.call())]
    try:
        yield running
    finally:
        running.is_over = True
        await asyncio.gather(*tasks)


async def head(system: System) -> dict[str, Any]:
    found: dict[str, Any] = (await system.http("catalog").get("/api/v1/head")).json()
    return found


async def assert_ledger(system: System) -> None:
    """The stream is exactly 1..N in order, the router's cache is the truth, and integrity hears of what goes."""
    truth = await head(system)
    connection = await nats.connect(system.endpoints["nats_operator"])
    context = connection.jetstream()

    async def all_told() -> bool:
        try:
            return bool((await context.stream_info("CATALOG")).state.last_seq >= truth["revision"])
        except nats.errors.Error:
            return False

    await eventually(all_told, within_s=30)
    told = []
    for sequence in range(1, truth["revision"] + 1):
        message = await context.get_msg("CATALOG", seq=sequence)
        told.append(int((message.headers or {})["ce-revision"]))
    await connection.close()
    assert told == list(range(1, truth["revision"] + 1))

    async def router_is_true() -> bool:
        cache = (await system.http("router").get("/api/v1/cache")).json()
        assert cache["alarms"] == 0
        is_at_head = cache["revision"] == truth["revision"] and not cache["is_stale"]
        # The router follows the kinds that it routes by, and holds each of them as the truth has it.
        followed = {kind: truth["digests"][kind] for kind in cache["digests"]}
        return bool(is_at_head and followed and cache["digests"] == followed)

    await eventually(router_is_true, within_s=20)
    await system.ready("catalog", "router", "sync", "integrity")
    await assert_integrity_hears(system)


async def assert_integrity_hears(system: System) -> None:
    """A model that goes is flagged and one that returns is cleared: the whole way from the catalog works."""
    http, findings = system.http("catalog"), system.http("integrity")

    async def flagged() -> list[str]:
        answer = await findings.get("/api/v1/stale-references")
        return [each["target_name"] for each in answer.json()["items"]]

    assert await eventually(lambda: _equals(flagged, []))
    await http.post(f"/api/v1/models/{FLAGGED}/disable", params={"force": True})
    assert await eventually(lambda: _equals(flagged, [FLAGGED]))
    await http.post(f"/api/v1/models/{FLAGGED}/enable")
    assert await eventually(lambda: _equals(flagged, []))


async def _equals(ask: Callable[[], Awaitable[list[str]]], expected: list[str]) -> bool:
    return await ask() == expected


async def synced_runs(system: System) -> list[str]:
    """Which runs the catalog has told of as applied, one entry for each telling."""
    connection = await nats.connect(system.endpoints["nats_operator"])
    context = connection.jetstream()
    last = (await context.stream_info("CATALOG")).state.last_seq
    messages = [await context.get_msg("CATALOG", seq=sequence) for sequence in range(1, last + 1)]
    await connection.close()
    return [json.loads(each.data or b"")["run_id"] for each in messages if each.subject == "catalog.synced"]


async def count_of_models(system: System) -> int:
    database = await asyncpg.connect(system.endpoints["postgres"].rpartition("/")[0] + "/modelbus")
    count: int = await database.fetchval("SELECT count(*) FROM catalog.models WHERE name LIKE 'load/%'")
    await database.close()
    return count


@pytest.mark.parametrize("victims", ["catalog", "nats", "postgres", "integrity", "sync", "nats postgres"])
async def test_a_killed_process_loses_nothing_and_disturbs_no_caller(system: System, victims: str) -> None:
    running_before = system.endpoints["pids"]
    before = await count_of_models(system)
    async with load(system) as running:
        await eventually(lambda: running.committed > 20 and running.answered > 20)
        await system.kill(*victims.split())
        committed, answered = running.committed, running.answered
        await eventually(lambda: running.committed > committed + 20 and running.answered > answered + 20, within_s=30)

    await assert_ledger(system)
    assert running.failures == []
    survivors = running_before.keys() - victims.split()
    assert {name: system.endpoints["pids"][name] for name in survivors} == {n: running_before[n] for n in survivors}
    # A change whose answer was lost may have been committed; one that was answered always was.
    stored = await count_of_models(system) - before
    assert running.committed <= stored <= running.committed + running.refused


def kept_revision(kept: Path) -> int:
    revision: int = json.loads(kept.read_bytes().partition(b"\n")[2])["revision"]
    return revision


async def test_a_router_that_restarts_with_everything_else_frozen_serves_from_its_last_known_good(
    system: System,
) -> None:
    await system.everywhere()
    others = ("catalog", "sync", "integrity", "nats", "postgres")
    client = system.openai()
    revision = (await head(system))["revision"]
    # The last known good is written a moment after the last change.
    kept = system.home / "state" / "router" / "catalog.snapshot"
    await eventually(lambda: kept_revision(kept) == revision)
    for process in others:
        system.signal(process, signal.SIGSTOP)
    try:
        before = system.endpoints["pids"]["router"]
        system.signal("router", signal.SIGKILL)
        await eventually(lambda: system.endpoints["pids"]["router"] != before, within_s=20)

        async def answers() -> str | None:
            try:
                answer = await client.chat.completions.create(model="default-chat", messages=HELLO)
            except openai.APIConnectionError:
                return None
            return answer.choices[0].message.content

        assert "Hello from" in await eventually(answers, within_s=30)
        cache = (await system.http("router").get("/api/v1/cache")).json()
        assert cache["is_stale"]
    finally:
        for process in others:
            system.signal(process, signal.SIGCONT)
    await client.close()
    await assert_ledger(system)


async def test_a_frozen_catalog_that_wakes_up_tells_nothing_twice(system: System) -> None:
    async with load(system) as running:
        await eventually(lambda: running.committed > 10)
        system.signal("catalog", signal.SIGSTOP)
        answered = running.answered
        await eventually(lambda: running.answered > answered + 50)
        system.signal("catalog", signal.SIGCONT)
        committed = running.committed
        await eventually(lambda: running.committed > committed + 10, within_s=20)

    assert running.failures == []
    await assert_ledger(system)


async def test_usage_of_answered_requests_reaches_the_stream(system: System) -> None:
    client = system.openai()
    answer = await client.chat.completions.with_raw_response.create(model="default-chat", messages=HELLO)
    request_id = answer.headers["x-request-id"]
    await client.close()
    connection = await nats.connect(system.endpoints["nats_operator"])
    context = connection.jetstream()

    async def recorded() -> dict[str, Any] | None:
        state = (await context.stream_info("USAGE")).state
        for sequence in range(max(state.first_seq, state.last_seq - 5), state.last_seq + 1):
            batch = httpx.Response(200, content=(await context.get_msg("USAGE", seq=sequence)).data or b"{}").json()
            for request in batch.get("requests", []):
                if request["id"] == request_id:
                    found: dict[str, Any] = request
                    return found
        return None

    request = await eventually(recorded, within_s=20)
    await connection.close()
    assert (request["asked_for"], request["outcome"], request["status"]) == ("default-chat", "ok", 200)
    assert request["attempts"][0]["tokens"]["output"] > 0


async def test_a_listing_in_whose_midst_sync_and_the_catalog_are_killed_is_applied_once(system: System) -> None:
    supplier_id = (await system.supplier("openrouter"))["id"]
    await system.control("openrouter", "listing", {"recording": "2025-04-23"})
    asked = await system.http("catalog").post(f"/api/v1/suppliers/{supplier_id}/sync")
    run_id = asked.json()["run_id"]
    sync = system.http("sync")

    async def run_is(*statuses: str) -> dict[str, Any] | None:
        answer = await sync.get(f"/api/v1/runs/{run_id}")
        run: dict[str, Any] = answer.json()
        return run if answer.status_code == httpx.codes.OK and run["status"] in statuses else None

    await eventually(lambda: run_is("fetching", "fetched", "applied"))
    await system.kill("catalog", "sync")

    run = await eventually(lambda: run_is("applied"), within_s=60)
    await system.control("openrouter", "listing", {"recording": "2024-11-10"})
    assert (run["listed_count"], run["added"]) == (302, 157)
    assert (await synced_runs(system)).count(run_id) == 1
