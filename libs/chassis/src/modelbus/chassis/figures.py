"""Figures of what services stand on that need no database: the bus, and the copy of the catalog."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from modelbus.chassis.feed import Follower
from modelbus.chassis.messaging import Bus
from modelbus.chassis.metrics import Read, counter, counters, gauge

OPERATIONS = ("publish", "subscription")


def of_bus(bus: Bus) -> Read:
    """Show the connection to NATS."""

    def read() -> Iterable[Metric]:
        refused = {(operation,): float(bus.refused[operation]) for operation in OPERATIONS}
        return (
            gauge("modelbus_bus_connected", "1 while NATS can be reached.", bus.is_connected),
            counter("modelbus_bus_reconnects", "Times that the connection to NATS came back.", bus.reconnects),
            counters("modelbus_bus_refused", "What NATS did not let us do.", ["operation"], refused),
        )

    return read


def of_follower(follower: Follower) -> Read:
    """Show how far the copy of the catalog is."""

    def read() -> Iterable[Metric]:
        lag = max(follower.head - follower.revision, 0)
        return (
            gauge("modelbus_cache_revision", "Revision of the copy of the catalog.", follower.revision),
            gauge("modelbus_cache_lag", "Revisions heard of and not applied.", lag),
            gauge("modelbus_cache_age_seconds", "Since the copy was known to be the truth.", follower.age_s),
            gauge("modelbus_cache_stale", "1 while nobody has confirmed the copy.", follower.is_stale),
            counter("modelbus_cache_alarms", "Differences found at equal revision.", follower.alarms),
        )

    return read
