"""A simulator, a catalog in which it is two suppliers, and a router that knows no more than that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelbus.simulator import Simulator, running_simulator
from router.claude import Sdks, TwoProtocols, running_sdks, two_protocols
from router.routers import RunningRouter, running_router
from router.world import World, a_world


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with running_simulator() as running:
        yield running


@pytest.fixture
def world(simulator: Simulator) -> World:
    return a_world(simulator)


@pytest.fixture
async def router(world: World, tmp_path: Path) -> AsyncIterator[RunningRouter]:
    async with running_router(tmp_path, world.seed) as running:
        yield running


@pytest.fixture
def catalog(simulator: Simulator) -> TwoProtocols:
    return two_protocols(simulator)


@pytest.fixture
async def sdks(catalog: TwoProtocols, tmp_path: Path) -> AsyncIterator[Sdks]:
    async with running_sdks(tmp_path, catalog.seed) as open_sdks:
        yield open_sdks
