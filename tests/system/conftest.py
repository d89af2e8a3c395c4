"""The whole system as its user starts it: `make up`'s own command, on ports and in a home of the test's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from collector import Collector, collecting
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
    async with whole_system(public_directory, MODELBUS_SYNC_LEASE_S="6", **tracing) as running:
        yield running
