"""What the clock does beside the requests: following the catalog, and bringing usage to disk and to the bus."""

from collections.abc import Awaitable, Mapping

from modelbus.chassis.loops import repeat
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.ledger.ledger import Ledger

# What a crash can lose of the usage, and how late others hear of it.
_WRITE_EVERY_S = 0.2
_PUBLISH_EVERY_S = 0.5


def jobs(catalog: CatalogCopy, ledger: Ledger) -> Mapping[str, Awaitable[None]]:
    """Answer the jobs by name, ready to be run."""
    return {
        "catalog": catalog.follower.run(),
        "usage-write": repeat("usage-write", ledger.write, every_s=_WRITE_EVERY_S),
        "usage-publish": repeat("usage-publish", ledger.publish, every_s=_PUBLISH_EVERY_S),
    }
