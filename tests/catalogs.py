"""Catalogs for tests: their settings, and what their outbox told."""

from collections.abc import Awaitable, Callable
from typing import Any

from modelbus.catalog.settings import Settings
from modelbus.contracts.event import Event
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN
from servers import FreshDatabase

type Told = Callable[[type[Event]], Awaitable[list[Any]]]


def settings_for(database: FreshDatabase, nats_url: str, **changes: Any) -> Settings:
    """Answer settings for the test's own database and bus."""
    return Settings(
        **{
            "database_url": database.url("catalog"),
            "nats_url": nats_url,
            "admin_token": ADMIN_TOKEN,
            "service_token": SERVICE_TOKEN,
            "master_keys": MASTER_KEY,
            "sync_url": "http://127.0.0.1:9",
            "integrity_url": "http://127.0.0.1:9",
            # Most tests count what is there, and what was told of it.
            "default_labels": False,
            **changes,
        }
    )
