"""Where faults happen."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from faults.stage import Stage


@pytest.fixture(scope="module")
async def stage(public_directory: Path) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield Stage(public_directory, stack)
