"""The whole system as its user starts it: `make up`'s own command, on ports and in a home of the test's."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from collector import Collector, collecting
from system.lineup import Installation
from whole import System, whole_system


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as running:
        yield running


@pytest.fixture(scope="module")
async def system(public_directory: Path, collector: Collector) -> AsyncIterator[System]:
    """A system with its demonstration, shared by the tests of a module; it traces what callers ask it to trace."""
    tracing = {"MODELBUS_TRACES_URL": collector.url, "MODELBUS_TRACES_SHARE": "0", "OTEL_BSP_SCHEDULE_DELAY": "200"}
    # A run whose worker was killed is taken up soon, so that the tests need not wait half a minute.
    # All that can be logged is logged: there is a test of what must not be.
    lease_and_logs = {"MODELBUS_SYNC_LEASE_S": "6", "MODELBUS_LOG_LEVEL": "debug"}
    async with whole_system(public_directory, **lease_and_logs, **tracing) as running:
        yield running


@pytest.fixture(scope="module")
async def installation(public_directory: Path) -> AsyncIterator[Installation]:
    """An installation of which nothing runs."""
    directory = public_directory / f"starting-{uuid4().hex[:8]}"
    directory.mkdir(mode=0o755)
    made = await Installation.made(directory)
    yield made
    made.stop()
    shutil.rmtree(directory, ignore_errors=True)
