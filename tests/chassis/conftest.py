"""The smallest service there is: a schema with nothing but an outbox and parked messages."""

from collections.abc import AsyncIterator

import pytest

from modelbus.catalog.store.tables import outbox, parking
from modelbus.chassis.database import Database
from servers import FreshDatabase


@pytest.fixture
async def catalog_database(database: FreshDatabase) -> AsyncIterator[Database]:
    """The catalog's database with its outbox, without the catalog."""
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    parking.keep_in(opened)
    yield opened
    await opened.close()
