"""What the catalog shows of its sources at /metrics."""

from collections.abc import Iterable
from time import monotonic

from prometheus_client.metrics_core import Metric

from modelbus.catalog.store.health import count_sources
from modelbus.chassis.database import Database
from modelbus.chassis.metrics import Ask, gauges

COUNTED_EVERY_S = 10.0
"""Counting reads every source, of which there may be a hundred thousand; several scrapers share one count."""


def of_sources(database: Database) -> Ask:
    """Show how many sources are in which health, and why they are not available; replicas show the same."""
    counted: dict[tuple[str, ...], float] = {}
    counted_at = -COUNTED_EVERY_S

    async def ask() -> Iterable[Metric]:
        nonlocal counted, counted_at
        if monotonic() - counted_at >= COUNTED_EVERY_S:
            async with database.reading() as session:
                counted = await count_sources(session)
            counted_at = monotonic()
        words = "Sources by health and by the reason for which they are not available, empty where they are."
        return (gauges("modelbus_sources", words, ["health", "reason"], counted),)

    return ask
