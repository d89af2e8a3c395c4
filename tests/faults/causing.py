"""Faults: each is caused on a rig under load, and answers when it was over."""

import asyncio
import shutil
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import openai
import psutil

from faults.backups import Backup
from faults.ledger import Ledger
from faults.load import PATIENCE_S, Load, ask
from faults.reading import Forgotten
from faults.rig import CATALOGS, Rig
from faults.watching import steady
from faults.wires import Fault as Broken
from modelbus.chassis.ending import CLOSING_S
from modelbus.chassis.ids import new_id
from modelbus.chassis.settings import ServiceSettings
from modelbus.contracts.bus import CONSUMERS, HEALTH, SYNC, USAGE
from modelbus.contracts.envelope import Envelope
from running import eventually

LASTS_S = 6.0
"""Of freezes and bad wires: longer than a leader may be silent, and than routers may be without news."""
SILENT_S = 20.0
"""Longer than anybody believes in a NATS that says nothing: after 15 seconds clients give it up."""
CUT_S = 35.0
"""Longer than the kernels of both ends wait for what is not confirmed."""
ASLEEP_S = 40.0
"""Longer than a message may be unconfirmed (30 s): it is delivered again, and whoever wakes up confirms it late."""
ENDED_WITHIN_S = ServiceSettings.model_fields["shutdown_s"].default + CLOSING_S + 6.0
"""A moment more than a service takes that is told to end."""
POISONED = (SYNC, USAGE, HEALTH)
POISON = b'{"requests": []}'
"""A body that none of those events has."""
LISTED = "openrouter"
CHAINS, JUDGED = "/api/v1/fallback-chains", "default-chat"


@dataclass(frozen=True)
class Scene:
    """Where a fault happens."""

    rig: Rig
    load: Load
    ledger: Ledger


type Cause = Callable[[Scene], Awaitable[float]]
"""Answers when what was broken was no longer broken (monotonic); for what was killed, when it was killed."""


def killed(*processes: str) -> Cause:
    """Kill processes; the launcher starts them again."""

    async def cause(scene: Scene) -> float:
        began = time.monotonic()
        await scene.rig.crash(*processes)
        return began

    return cause


def frozen(*processes: str, lasts_s: float = LASTS_S) -> Cause:
    """Stop processes in the middle of whatever they do, and let them go on later."""

    async def cause(scene: Scene) -> float:
        scene.rig.freeze(*processes)
        try:
            await for_a_while(lasts_s)
        finally:
            scene.rig.thaw(*processes)
        return time.monotonic()

    return cause


def broken(how: Broken, *servers: str, lasts_s: float = LASTS_S) -> Cause:
    """Let the wires to servers fail."""

    async def cause(scene: Scene) -> float:
        for each in servers:
            await scene.rig.strike(each, how)
        try:
            await for_a_while(lasts_s)
        finally:
            await scene.rig.mend()
        return time.monotonic()

    return cause


def unjudged(how: Broken) -> Cause:
    """Let the wires to integrity fail, and change all the while what it is to judge: that is saved, judged or not."""

    async def cause(scene: Scene) -> float:
        until = time.monotonic() + LASTS_S
        await scene.rig.strike("integrity", how)
        try:
            while time.monotonic() < until:
                for catalog in CATALOGS:
                    await _is_judged(scene.rig.http(catalog))
        finally:
            await scene.rig.mend()
        over = time.monotonic()
        for catalog in CATALOGS:
            await eventually(partial(_is_judged, scene.rig.http(catalog)))
        return over

    return cause


async def _is_judged(catalog: httpx.AsyncClient) -> bool:
    chains = (await catalog.get(CHAINS, timeout=PATIENCE_S)).json()["items"]
    path = next(f"{CHAINS}/{each['id']}" for each in chains if each["name"] == JUDGED)
    change = {"description": new_id().hex}
    answer = await catalog.patch(path, json=change, params={"check": "true"}, timeout=PATIENCE_S)
    assert answer.status_code == httpx.codes.OK, answer.text
    told: dict[str, Any] = answer.json()
    assert told["description"] == change["description"]
    return bool(told["check"]["state"] == "checked")


def wiped(*nodes: str) -> Cause:
    """Have nodes of NATS lose everything that they stored."""

    async def cause(scene: Scene) -> float:
        rig, before, began = scene.rig, scene.rig.endpoints["pids"], time.monotonic()
        for each in nodes:
            rig.signal(each, signal.SIGKILL)
        # Moved at once, as the launcher starts them again soon: one that kept its own would give it back to the others.
        lost = [(rig.home / each / "jetstream").rename(rig.home / each / new_id().hex) for each in nodes]
        await eventually(lambda: all(rig.endpoints["pids"][each] != before[each] for each in nodes), within_s=30)
        for directory in lost:
            await asyncio.to_thread(shutil.rmtree, directory)
        return began

    return cause


def consumers_deleted(*hearers: str) -> Cause:
    """Delete the durable consumers of some services, or of all."""

    async def cause(scene: Scene) -> float:
        async with scene.rig.bus() as client:
            for consumer in CONSUMERS:
                if not hearers or consumer.hearer in hearers:
                    await client.jetstream().delete_consumer(consumer.stream.name, consumer.durable)
        return time.monotonic()

    return cause


async def poisoned(scene: Scene) -> float:
    """Put on each stream with many hearers a message that none of them can read."""
    async with scene.rig.bus() as client:
        for stream in POISONED:
            event = stream.events[0]
            headers = Envelope(
                id=new_id(), type=event.type, source=f"/modelbus/{stream.teller}", time=datetime.now(UTC), data=b""
            ).headers()
            await client.jetstream().publish(event.type, POISON, stream=stream.name, headers=headers)
    return time.monotonic()


def parked_by_poison() -> Counter[str]:
    """Answer who parks one of those messages."""
    return Counter(
        consumer.durable
        for consumer in CONSUMERS
        for stream in POISONED
        if consumer.stream is stream and stream.events[0] in consumer.events
    )


async def configuration_restored(scene: Scene) -> float:
    """Put back a configuration that was written a moment ago."""
    catalog = scene.rig.http("catalog")
    document = await catalog.get("/api/v1/export", params={"secrets": "master"}, timeout=60)
    assert document.status_code == httpx.codes.OK, document.text
    await steady(scene.load)

    async def is_restored() -> bool:
        answer = await catalog.post("/api/v1/restore", content=document.content, params={"replace": "true"}, timeout=60)
        # It wants all tables at once, and may have to give way to who holds some.
        assert answer.is_success or answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
        return answer.is_success

    await eventually(is_restored, within_s=60)
    scene.load.forget()
    return time.monotonic()


async def database_restored(scene: Scene) -> float:
    """Put a backup of PostgreSQL in place of what it holds now."""
    epoch, since = (await scene.ledger.head())["epoch"], datetime.now(UTC)
    backup = await asyncio.to_thread(Backup.of, scene.rig.home, scene.rig.endpoints["postgres"])
    await steady(scene.load)
    before, began = scene.rig.endpoints["pids"]["postgres"], time.monotonic()
    backup.put_in_place(before)
    scene.ledger.forgotten = Forgotten(since, datetime.now(UTC))
    await eventually(lambda: scene.rig.endpoints["pids"]["postgres"] != before, within_s=30)
    await eventually(lambda: _is_in_another_epoch(scene.ledger, epoch), within_s=60)
    for teller in ("sync", "integrity"):
        await eventually(partial(scene.rig.leads, teller), within_s=60)
    # What was committed before the relays had noticed has other revisions since.
    await steady(scene.load)
    scene.load.forget()
    return began


async def router_alone(scene: Scene) -> float:
    """Freeze everything that a router needs, and kill it: it serves from what it has kept."""
    rig, others = scene.rig, ("catalog", "catalog-2", "sync", "integrity", "nats", "postgres")
    await eventually((rig.home / "state" / "router" / "catalog.snapshot").exists)
    rig.freeze(*others)
    try:
        await rig.crash("router")
        async with rig.caller("router") as client:
            await eventually(lambda: _answers(client), within_s=40)
        assert (await rig.http("router").get("/api/v1/cache")).json()["is_stale"]
    finally:
        rig.thaw(*others)
    return time.monotonic()


async def told_to_end(scene: Scene) -> float:
    """Tell all services to end while NATS and PostgreSQL are frozen: they do, and the launcher starts them again."""
    rig, servers = scene.rig, ("nats", "postgres")
    processes = [psutil.Process(rig.endpoints["pids"][each]) for each in rig.services]
    rig.freeze(*servers)
    try:
        for each in rig.services:
            rig.signal(each, signal.SIGTERM)
        await eventually(lambda: not any(map(_runs, processes)), within_s=ENDED_WITHIN_S)
    finally:
        rig.thaw(*servers)
    return time.monotonic()


def _runs(process: psutil.Process) -> bool:
    # The launcher, which asks the frozen servers how they are, may be seconds late to see who has ended.
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def killed_in_a_listing(scene: Scene) -> float:
    """Kill sync and both catalogs while a listing is read and applied: it is applied once, whole."""
    rig, sync = scene.rig, scene.rig.http("sync")
    supplier = (await rig.supplier(LISTED))["id"]
    await rig.control(LISTED, "listing", {"recording": "2025-04-23"})
    run_id = (await rig.http("catalog").post(f"/api/v1/suppliers/{supplier}/sync")).json()["run_id"]
    scene.load.runs.add(run_id)

    async def run_is(*statuses: str) -> dict[str, Any] | None:
        answer = await sync.get(f"/api/v1/runs/{run_id}")
        run: dict[str, Any] = answer.json()
        return run if answer.status_code == httpx.codes.OK and run["status"] in statuses else None

    await eventually(lambda: run_is("fetching", "fetched", "applied"), within_s=30)
    began = time.monotonic()
    await rig.crash(*CATALOGS, "sync")
    await rig.ready("sync")
    run = await eventually(lambda: run_is("applied"), within_s=60)
    await rig.control(LISTED, "listing", {"recording": "2024-11-10"})
    # Another run may have brought it before: then nothing of it is new, and it is whole all the same.
    assert run["listed_count"] == run["added"] + run["changed"] + run["unchanged"] == 302, run
    return began


async def for_a_while(seconds: float = LASTS_S) -> None:
    """Let a fault last."""
    until = time.monotonic() + seconds
    await eventually(lambda: time.monotonic() >= until, within_s=seconds + 5)


async def _is_in_another_epoch(ledger: Ledger, epoch: str) -> bool:
    try:
        return bool((await ledger.head())["epoch"] != epoch)
    except httpx.HTTPError as error:
        raise OSError(repr(error)) from error


async def _answers(client: openai.AsyncOpenAI) -> bool:
    try:
        await ask(client, "default-chat", is_stream=False)
    except openai.APIConnectionError:
        return False
    return True
