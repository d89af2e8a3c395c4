"""Two of each service are replaced one after another under load: who calls goes on, and nothing heard is lost."""

from contextlib import aclosing
from functools import partial
from pathlib import Path

import httpx
import pytest

import builders
from modelbus.contracts.bus import INTEGRITY
from modelbus.simulator import Fault, running_simulator
from running import eventually
from system.lineup import ADMINISTRATOR, Installation, Lineup, column, lined_up
from system.replicas import OVERTAKEN, Balancer, Lister, all_is_heard, each_goes_on, end, kept_up

pytestmark = pytest.mark.system

CATALOGS, ROUTERS = ("catalog", "catalog-2"), ("router", "router-2")
SYNCS, INTEGRITIES = ("sync", "sync-2"), ("integrity", "integrity-2")
MODEL = "rolling-model"
RETRYABLE = {"503"}
STREAMED_S = 0.4
"""About how long an answer takes, so that some are under way whenever a router is told to end."""


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
    return set(await column(installation, "SELECT name FROM catalog.models WHERE deleted_at IS NULL"))


async def test_replicas_of_sync_and_integrity_are_replaced_and_each_run_ends_once_and_each_finding_is_told(
    installation: Installation, tmp_path: Path
) -> None:
    async with running_simulator() as simulator, lined_up(installation, tmp_path) as lineup:
        simulator.openrouter.misbehave(Fault(latency_ms=200))
        for part in ("postgres", "nats", "catalog", *SYNCS, *INTEGRITIES):
            await lineup.start(part)
        await lineup.ready("catalog", *SYNCS, *INTEGRITIES)
        supplier_id = await seed_work(lineup, simulator.base_url(simulator.openrouter))
        head = (await lineup.ask("GET", "catalog", "/api/v1/head"))["revision"]
        for part in SYNCS:
            await eventually(partial(has_heard, lineup, part, head))
        async with (
            aclosing(Balancer(*map(lineup.url, SYNCS), headers=ADMINISTRATOR)) as syncs,
            aclosing(Balancer(*map(lineup.url, INTEGRITIES), headers=ADMINISTRATOR)) as integrities,
        ):
            lister = Lister(simulator, syncs, supplier_id)

            async def flip(_turn: int) -> None:
                for change in ("disable?force=true", "enable"):
                    await lineup.ask("POST", "catalog", f"/api/v1/models/{FLIPPING}/{change}")

            async def validate(turn: int) -> None:
                await integrities.send(turn, "/api/v1/validate", {"config_type": "fallback"})

            async with kept_up(lister.ask, flip, validate, rest_s=0.1):
                for part in (*SYNCS, *INTEGRITIES):
                    await each_goes_on(syncs, integrities)
                    await lineup.restart(part)
                await each_goes_on(syncs, integrities)
        ended = {run_id: await end(lineup, run_id) for run_id in lister.promised}
        await eventually(partial(all_is_heard, lineup), within_s=30)
        swept = await lineup.ask("POST", "integrity", "/api/v1/sweeps")
        parked = [await lineup.ask("GET", part, "/api/v1/parked") for part in ("catalog", "sync", "integrity")]
        applied, offered = await column(installation, APPLIED), await column(installation, OFFERED)
        told = await column(installation, TOLD)
        await eventually(partial(holds_all, lineup, installation))

    assert syncs.failed.keys() | integrities.failed.keys() <= RETRYABLE
    assert set(ended.values()) <= {"applied", OVERTAKEN}
    # A run whose promise was lost on its way, with the replica that gave it, is applied too: once, like all others.
    assert len(set(applied)) == len(applied)
    assert {run_id for run_id, how in ended.items() if how == "applied"} <= set(applied)
    assert set(lister.listed[:-1]) <= set(offered)
    assert told == ["reference.stale", "reference.restored"] * (len(told) // 2)
    assert told
    assert (swept["drift"], swept["opened"], swept["closed"]) == ({}, 0, 0)
    assert [page["items"] for page in parked] == [[], [], []]


FLIPPING = "flipping-model"
TOLD = "SELECT type FROM integrity.outbox WHERE body::json->>'kind' = 'dead' ORDER BY revision"
APPLIED = "SELECT body::json->>'run_id' FROM catalog.outbox WHERE type = 'catalog.synced'"
OFFERED = "SELECT upstream_name FROM catalog.sources WHERE deleted_at IS NULL"


async def seed_work(lineup: Lineup, simulator_url: str) -> str:
    """Make a model that a chain needs, and answer the id of a supplier that is asked only when somebody wants it."""
    async with httpx.AsyncClient(base_url=lineup.url("catalog"), headers=ADMINISTRATOR, timeout=20) as http:
        model = await builders.a_served_model(http, name=FLIPPING)
        chain = await http.post("/api/v1/fallback-chains", json={"name": "c", "steps": [{"model_id": model["id"]}]})
        chain.raise_for_status()
        supplier = await builders.a_supplier(http, base_url=simulator_url)
        supplier_id: str = supplier["id"]
        return supplier_id


async def has_heard(lineup: Lineup, part: str, revision: int) -> bool:
    page = (await lineup.send("GET", part, "/metrics")).text
    [line] = [line for line in page.splitlines() if line.startswith("modelbus_cache_revision ")]
    return float(line.split()[1]) >= revision


async def holds_all(lineup: Lineup, installation: Installation) -> bool:
    """Tell whether the stream of integrity holds as many events as were committed."""
    async with lineup.stream() as context:
        state = (await context.stream_info(INTEGRITY.name)).state
    return await column(installation, "SELECT count(*) FROM integrity.outbox") == [state.messages]
