"""A running integrity with its database and bus, and a catalog that says what a test wants."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from nats.aio.client import Client

from integrity.listening import Ear, ready, running_integrity
from integrity.teller import FeedServer, Teller
from modelbus.chassis.database import Database
from modelbus.contracts.bus import INTEGRITY
from modelbus.contracts.records import Record
from modelbus.integrity.clients.catalog import Catalog
from modelbus.integrity.jobs import Audit
from modelbus.integrity.store.tables import outbox
from running import SERVICE_TOKEN, eventually, serving
from servers import FreshDatabase
from testing_bus import LocalBus, is_heard


@pytest.fixture(scope="session")
async def feed_server() -> AsyncIterator[FeedServer]:
    server = FeedServer()
    async with serving(server.app()) as url:
        server.url = url
        yield server


@pytest.fixture
def catalog(feed_server: FeedServer) -> Teller:
    feed_server.catalog = Teller()
    return feed_server.catalog


@pytest.fixture
def catalog_url(feed_server: FeedServer, catalog: Teller) -> str:  # noqa: ARG001 - the one that is served there
    return feed_server.url


@pytest.fixture
async def nats_client(bus: LocalBus, catalog: Teller) -> AsyncIterator[Client]:
    """A connection to the bus, over which the catalog tells."""
    client = await bus.client()
    catalog.context = client.jetstream()
    yield client
    await client.close()


@pytest.fixture
async def http(
    database: FreshDatabase,
    bus: LocalBus,
    catalog_url: str,
    nats_client: Client,  # noqa: ARG001 - the catalog tells over it
) -> AsyncIterator[httpx.AsyncClient]:
    """Integrity, ready and with an empty index."""
    async with running_integrity(database, bus.url, catalog_url) as client:
        await ready(client)
        yield client


@pytest.fixture
async def ear(nats_client: Client) -> Ear:
    listening = Ear()
    for subject in INTEGRITY.subjects:
        await nats_client.subscribe(subject, cb=listening.take)
    await is_heard(nats_client)
    return listening


type Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def serve(database: FreshDatabase, catalog: Teller, catalog_url: str) -> AsyncIterator[Serve]:
    """Start integrity beside a catalog that holds the given records; nothing that is asked here needs a bus."""
    async with AsyncExitStack() as running:

        async def begin(*records: Record) -> httpx.AsyncClient:
            for record in records:
                catalog.commit(record)
            http = await running.enter_async_context(running_integrity(database, "nats://127.0.0.1:9", catalog_url))

            async def is_loaded() -> bool:
                return "index" not in (await http.get("/health/ready")).json()["missing"]

            await eventually(is_loaded)
            return http

        yield begin


@pytest.fixture
async def integrity_database(database: FreshDatabase) -> AsyncIterator[Database]:
    made = Database(database.url("integrity"), service="integrity", outbox=outbox)
    yield made
    await made.close()


@pytest.fixture
async def audit(integrity_database: Database, catalog_url: str) -> AsyncIterator[Audit]:
    headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    async with httpx.AsyncClient(base_url=catalog_url, headers=headers) as client:
        yield Audit(integrity_database, Catalog(client))
