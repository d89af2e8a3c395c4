"""What integrity shows of its findings at /metrics."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from modelbus.chassis.database import Database
from modelbus.chassis.metrics import Ask, gauges
from modelbus.integrity.store.findings import count_unresolved


def of_findings(database: Database) -> Ask:
    """Show the findings that are not resolved."""

    async def ask() -> Iterable[Metric]:
        async with database.reading() as session:
            counts = await count_unresolved(session)
        labels = ["rule", "severity", "state"]
        return (gauges("modelbus_findings", "Findings that are not resolved.", labels, dict(counts)),)

    return ask
