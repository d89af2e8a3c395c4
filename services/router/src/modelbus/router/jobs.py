"""What the clock does beside the requests: following the catalog, telling usage and limits, and hearing of both."""

from collections.abc import Awaitable, Mapping

from modelbus.chassis.loops import repeat
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.limits.sharing import TELL_EVERY_S, Sharing
from modelbus.router.limits.statement import Statement

# What a crash can lose of the usage, and how late others hear of it.
_WRITE_EVERY_S = 0.2
_PUBLISH_EVERY_S = 0.5
# How late this router learns what others' callers have spent.
_CATCH_UP_EVERY_S = 1.0


def jobs(catalog: CatalogCopy, ledger: Ledger, sharing: Sharing, statement: Statement) -> Mapping[str, Awaitable[None]]:
    """Answer the jobs by name, ready to be run."""
    return {
        "catalog": catalog.follower.run(),
        "usage-write": repeat("usage-write", ledger.write, every_s=_WRITE_EVERY_S),
        "usage-publish": repeat("usage-publish", ledger.publish, every_s=_PUBLISH_EVERY_S),
        "limits": repeat("limits", sharing.tell, every_s=TELL_EVERY_S),
        "spending": repeat("spending", statement.catch_up, every_s=_CATCH_UP_EVERY_S),
    }
