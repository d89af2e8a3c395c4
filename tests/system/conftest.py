"""The whole system as its user starts it: `make up`'s own command, on ports and in a home of the test's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from whole import System, whole_system


@pytest.fixture(scope="module")
async def system(public_directory: Path) -> AsyncIterator[System]:
    """A system with its demonstration, shared by the tests of a module."""
    async with whole_system(public_directory) as running:
        yield running
