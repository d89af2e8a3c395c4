"""When a supplier is due: its interval after the last run was requested, a tenth sooner or later."""

from datetime import datetime, timedelta
from uuid import UUID

JITTER = 0.1
_STEPS = 1 << 16


def due_at(last_requested_at: datetime, last_run_id: UUID, interval_s: int) -> datetime:
    """Answer when the next run is due.

    The chance lies in the last run's id, so that every replica, and every look, finds the same time.
    """
    chance = last_run_id.int % _STEPS / (_STEPS - 1)
    return last_requested_at + timedelta(seconds=interval_s * (1 - JITTER + 2 * JITTER * chance))
