"""Fixtures of sync: the service with its neighbours once a module, its database for each test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modelbus.chassis.database import Database
from modelbus.sync.store.tables import outbox
from servers import Databases, FreshDatabase
from sync.running_sync import OpenDatabase, RunningSync, neighbours, running_sync


@pytest.fixture(scope="module")
async def module_sync(
    databases: Databases, public_directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RunningSync]:
    """One for all tests of a module: what they do to it is undone, or harms nobody."""
    state_dir = tmp_path_factory.mktemp("state")
    async with neighbours(databases, public_directory, state_dir) as around, running_sync(around) as running:
        yield running


@pytest.fixture
async def sync(module_sync: RunningSync) -> RunningSync:
    """A running sync whose provider behaves."""
    module_sync.simulator.reset()
    return module_sync


@pytest.fixture
def open_database(database: FreshDatabase) -> OpenDatabase:
    """Open sync's database as one more replica."""

    @asynccontextmanager
    async def open_one() -> AsyncIterator[Database]:
        opened = Database(database.url("sync"), service="sync", outbox=outbox)
        yield opened
        await opened.close()

    return open_one
