"""A running simulator for each test, and clients that talk to it over real sockets."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from openai import AsyncOpenAI

from modelbus.simulator import Simulator, running_simulator
from simulator.asking import DEADLINE_SECONDS, Asking


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(simulator.url, timeout=aiohttp.ClientTimeout(DEADLINE_SECONDS)) as session:
        yield session


@pytest.fixture
def ask(http: aiohttp.ClientSession) -> Asking:
    return Asking(http)


@pytest.fixture
async def sdk(simulator: Simulator) -> AsyncIterator[AsyncOpenAI]:
    url = simulator.base_url(simulator.openai)
    async with AsyncOpenAI(base_url=url, api_key="sim-openai-key-1", max_retries=0) as client:
        yield client
