"""What sync shows of its runs and of the suppliers it watches at /metrics."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from modelbus.chassis.database import Database
from modelbus.chassis.metrics import Ask, gauges
from modelbus.sync.store.figures import count_runs, count_watches


def of_work(database: Database) -> Ask:
    """Show how runs of the last day stand, and how suppliers are seen; replicas show the same."""

    async def ask() -> Iterable[Metric]:
        async with database.reading() as session:
            runs, watches = await count_runs(session), await count_watches(session)
        return (
            gauges("modelbus_sync_runs", "Runs requested within the last day.", ["status"], runs),
            gauges("modelbus_suppliers_watched", "Suppliers that are looked at.", ["health"], watches),
        )

    return ask
