"""When a listing need not be read or handed on: the catalog has applied the same, and nothing else has moved since."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from modelbus.sync.domain.runs import Run, Status


def mark_of(*parts: str) -> str:
    """Answer one mark for how a listing was asked for and read: another mark, another listing."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def is_settled(base: Run, mark: str, epoch: UUID | None, now: datetime, whole_every: timedelta) -> bool:
    """Tell whether handing the same listing to the catalog again could change nothing there that sync knows of.

    `base` is the run whose listing was applied last. Not while models that are missing are still counted, or prices
    wait to be compared anew; not in another epoch of the catalog, which may have been restored from before; and not
    for ever, since an administrator may have changed there what a listing tells.
    """
    return (
        base.status == Status.APPLIED
        and base.held == 0
        and base.held_prices_count == 0
        and base.mark == mark
        and epoch is not None
        and base.applied_epoch == epoch
        and base.ended_at is not None
        and now - base.ended_at < whole_every
    )
