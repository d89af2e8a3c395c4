"""A running integrity with its database and bus, and a catalog that says what a test wants."""

from collections.abc import AsyncIterator

import httpx
import pytest
from nats.aio.client import Client

from integrity.listening import Ear, ready, running_integrity
from integrity.teller import Teller
from modelbus.contracts.bus import INTEGRITY
from running import serving
from servers import FreshDatabase
from testing_bus import LocalBus


@pytest.fixture
async def nats_client(bus: LocalBus) -> AsyncIterator[Client]:
    client = await bus.client()
    yield client
    await client.close()


@pytest.fixture
def catalog(nats_client: Client) -> Teller:
    return Teller(nats_client.jetstream())


@pytest.fixture
async def catalog_url(catalog: Teller) -> AsyncIterator[str]:
    async with serving(catalog.app()) as url:
        yield url


@pytest.fixture
async def http(database: FreshDatabase, bus: LocalBus, catalog_url: str) -> AsyncIterator[httpx.AsyncClient]:
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
