"""A running integrity with its database and bus, and a catalog that says what a test wants."""

from collections.abc import AsyncIterator

import httpx
import pytest
from nats.aio.client import Client

from integrity.listening import Ear, ready, running_integrity
from integrity.teller import FeedServer, Teller
from modelbus.contracts.bus import INTEGRITY
from running import serving
from servers import FreshDatabase
from testing_bus import LocalBus


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
    await nats_client.flush()
    return listening
