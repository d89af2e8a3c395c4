"""Whatever fails in the middle of a storm, two replicas end with each finding once, and with those from scratch."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import batched
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.errors import Error as JetStreamError

from integrity.listening import Ear, everything_is_heard, ready, running_integrity
from integrity.teller import Teller, Told, a_chain, a_model, a_source
from modelbus.contracts.bus import CATALOG, INTEGRITY_HEARS_CATALOG
from modelbus.integrity import jobs
from modelbus.launcher.postgres import PostgresServer, start_postgres
from running import eventually, free_port
from servers import Databases, FreshDatabase, prepare_template
from testing_bus import LocalBus

MODELS = 150
SETTLED_WITHIN_S = 45.0
GONE = {"is_available": False, "reason": "supplier_disabled"}

type Fault = Callable[[LocalBus, PostgresServer, Client], Awaitable[None]]
type Replicas = tuple[httpx.AsyncClient, httpx.AsyncClient]


async def the_consumer_is_deleted(_bus: LocalBus, _server: PostgresServer, client: Client) -> None:
    await client.jetstream().delete_consumer(CATALOG.name, INTEGRITY_HEARS_CATALOG.durable)


async def the_bus_loses_everything(bus: LocalBus, _server: PostgresServer, _client: Client) -> None:
    await asyncio.to_thread(bus.wipe)


async def the_database_is_killed(_bus: LocalBus, server: PostgresServer, _client: Client) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.restart)


@pytest.fixture(scope="session")
async def own_server(public_directory: Path) -> AsyncIterator[tuple[PostgresServer, Databases]]:
    """A database server that may be killed: nobody else uses it."""
    server = start_postgres(public_directory / "killed-postgres", port=free_port(), fast=True)
    yield server, await prepare_template(server.url)
    server.stop()


@pytest.fixture
async def database(own_server: tuple[PostgresServer, Databases]) -> AsyncIterator[FreshDatabase]:
    async with own_server[1].fresh() as fresh:
        yield fresh


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LOOK_EVERY_S", 1.0)
    monkeypatch.setattr(jobs, "LOOK_AGAIN_S", 0.3)


@pytest.fixture
async def replicas(
    database: FreshDatabase,
    bus: LocalBus,
    catalog_url: str,
    nats_client: Client,  # noqa: ARG001 - the catalog tells over it
) -> AsyncIterator[Replicas]:
    async with (
        running_integrity(database, bus.url, catalog_url) as one,
        running_integrity(database, bus.url, catalog_url) as other,
    ):
        await ready(one)
        await ready(other)
        yield one, other


@pytest.mark.parametrize("fault", [the_consumer_is_deleted, the_bus_loses_everything, the_database_is_killed])
async def test_a_storm_with_a_fault_in_its_middle_ends_as_if_there_had_been_none(
    replicas: Replicas,
    catalog: Teller,
    bus: LocalBus,
    nats_client: Client,
    own_server: tuple[PostgresServer, Databases],
    fault: Fault,
) -> None:
    supplier, other = uuid4(), a_model()
    models = [a_model() for _ in range(MODELS)]
    sources = [a_source(model.id, supplier_id=supplier) for model in models]
    chains = [a_chain(model, other, name=f"chain-{number}") for number, model in enumerate(models)]
    await publish(catalog, [catalog.commit(each) for each in (other, a_source(other.id), *models, *sources, *chains)])
    await everything_is_heard(nats_client)
    storm = [catalog.commit(each.model_copy(update=GONE)) for each in (*sources, *models)]
    ear = Ear()
    await nats_client.subscribe("reference.stale", cb=ear.take)

    await publish(catalog, storm[: len(storm) // 2])
    await fault(bus, own_server[0], nats_client)
    await publish(catalog, storm[len(storm) // 2 :])

    async def is_settled() -> bool:
        found = [await open_findings(http) for http in replicas]
        stale = [each for each in found[0] if each[0] == "degraded"]
        assert len(stale) == MODELS, len(stale)
        assert found[0] == found[1] == await from_scratch(replicas[0])
        return True

    await eventually(is_settled, within_s=SETTLED_WITHIN_S)
    assert max(Counter(await open_findings(replicas[0])).values()) == 1
    # An event may come twice, as any may; no place may have two findings.
    assert len({each.finding_id for each in ear.heard}) <= MODELS


async def publish(catalog: Teller, told: list[Told]) -> None:
    """Put events on the stream in their order, as long as that takes."""
    for some in batched(told, 100):
        await asyncio.gather(*(_published(catalog, each) for each in some))


async def _published(catalog: Teller, told: Told) -> None:
    async def is_there() -> bool:
        try:
            await catalog.publish(told)
        except (NatsError, JetStreamError) as error:
            raise OSError(repr(error)) from error
        return True

    await eventually(is_there, within_s=SETTLED_WITHIN_S)


async def open_findings(http: httpx.AsyncClient) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = (await http.get("/api/v1/findings", params=query)).json()
        found += [_place(each) for each in page["items"]]
        if page["next_cursor"] is None:
            return sorted(found)
        query["cursor"] = page["next_cursor"]


async def from_scratch(http: httpx.AsyncClient) -> list[tuple[str, ...]]:
    validated = (await http.post("/api/v1/validate", json={"config_type": "all"})).json()
    return sorted(_place(each) for each in validated["findings"])


def _place(finding: dict[str, Any]) -> tuple[str, ...]:
    return finding["kind"], finding["holder_id"], finding["place"], finding["target_id"]
