"""Streams and durable consumers of the bus, as data: one topology step creates them, nobody else does."""

from dataclasses import dataclass

from modelbus.contracts import catalog, credentials, health, references, sync, usage
from modelbus.contracts.event import Event

GIB = 1024**3
MAX_PAYLOAD = 8 * 1024**2
"""The largest message that a server must take, with its headers; eight times what NATS takes unless it is told."""
MAX_BODY = MAX_PAYLOAD - 64 * 1024
"""The largest body of an event: a change that would make a larger one is refused, as nobody could be told of it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A JetStream stream; where order matters exactly one service publishes to it."""

    name: str
    teller: str
    events: tuple[type[Event], ...]
    max_bytes: int
    """Oldest messages go first beyond this size, so the last one, the relay's cursor, always stays."""
    more_tellers: tuple[str, ...] = ()
    """Who tells beside the teller; only where order between them means nothing."""

    @property
    def tellers(self) -> tuple[str, ...]:
        """Name every service that tells on it."""
        return (self.teller, *self.more_tellers)

    @property
    def subjects(self) -> list[str]:
        """List the subjects one by one; no wildcard crosses publishers."""
        return [event.type for event in self.events]


CATALOG = Stream(
    name="CATALOG",
    teller="catalog",
    events=(
        *catalog.CHANGES.values(),
        catalog.ModelAvailable,
        catalog.ModelUnavailable,
        catalog.SourceAvailable,
        catalog.SourceUnavailable,
        catalog.SyncRequested,
        catalog.CatalogSynced,
        catalog.ListingRefused,
        catalog.CatalogReset,
    ),
    max_bytes=GIB,
)
SYNC = Stream(
    name="SYNC",
    teller="sync",
    events=(sync.ListingFetched, sync.SyncQuarantined, sync.SyncFailed),
    max_bytes=GIB // 16,
)
INTEGRITY = Stream(
    name="INTEGRITY",
    teller="integrity",
    events=(references.ReferenceStale, references.ReferenceRestored),
    max_bytes=GIB // 16,
)
USAGE = Stream(name="USAGE", teller="router", events=(usage.UsageRecorded,), max_bytes=GIB)
HEALTH = Stream(
    name="HEALTH",
    teller="sync",
    events=(health.SourceHealthChanged, credentials.CredentialRejected, credentials.CredentialCooled),
    max_bytes=GIB // 64,
    more_tellers=("router",),
)
ADVISORIES_STREAM = "ADVISORIES"
ADVISORIES = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"

STREAMS: tuple[Stream, ...] = (CATALOG, SYNC, INTEGRITY, USAGE, HEALTH)


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer; replicas of a service share its work."""

    durable: str
    stream: Stream
    events: tuple[type[Event], ...]
    ack_wait_s: float = 30.0
    """Redelivered after that many seconds without an answer; must outlast the slowest handler."""
    max_tries: int = 8
    """After that many tries a message that fails for another reason than an outage is parked."""
    max_ack_pending: int = 500

    @property
    def hearer(self) -> str:
        """Name the service: its consumers are called as it is, with more behind a dash where it has several."""
        return self.durable.partition("-")[0]


SYNC_HEARS_CATALOG = Consumer(
    durable="sync",
    stream=CATALOG,
    events=(catalog.SyncRequested, catalog.CatalogSynced, catalog.ListingRefused),
)
CATALOG_HEARS_SYNC = Consumer(durable="catalog", stream=SYNC, events=(sync.ListingFetched,), ack_wait_s=120.0)
CATALOG_HEARS_USAGE = Consumer(durable="catalog-usage", stream=USAGE, events=(usage.UsageRecorded,))
CATALOG_HEARS_HEALTH = Consumer(durable="catalog-health", stream=HEALTH, events=HEALTH.events)
SYNC_HEARS_USAGE = Consumer(durable="sync-usage", stream=USAGE, events=(usage.UsageRecorded,))
INTEGRITY_HEARS_CATALOG = Consumer(
    durable="integrity",
    stream=CATALOG,
    events=(
        catalog.SupplierChanged,
        catalog.CapabilityChanged,
        catalog.ModelChanged,
        catalog.SourceChanged,
        catalog.PriceChanged,
        catalog.ChainChanged,
        catalog.SplitChanged,
        catalog.ComplexityChanged,
        catalog.StrategyChanged,
        catalog.ScopeChanged,
        catalog.ConsumerChanged,
        catalog.AccessKeyChanged,
        catalog.CredentialChanged,
        catalog.CatalogReset,
    ),
)
INTEGRITY_HEARS_USAGE = Consumer(durable="integrity-usage", stream=USAGE, events=(usage.UsageRecorded,))

CONSUMERS: tuple[Consumer, ...] = (
    SYNC_HEARS_CATALOG,
    CATALOG_HEARS_SYNC,
    CATALOG_HEARS_USAGE,
    CATALOG_HEARS_HEALTH,
    SYNC_HEARS_USAGE,
    INTEGRITY_HEARS_CATALOG,
    INTEGRITY_HEARS_USAGE,
)
