"""Failures that administrators should see: kept in the audit log though the request itself changed nothing."""

from datetime import UTC, datetime
from typing import Any

from modelbus.catalog.store import history
from modelbus.chassis import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id

NOBODY = "nobody"
"""How the audit log calls who has proved no identity."""


async def audit_failure(database: Database, action: str, reason: str, *, by: Caller | None, **detail: Any) -> None:
    """Add a refusal to the audit log, in a transaction of its own: the one that was refused leaves nothing.

    `by` is whose identity was claimed, where there is such a user; what else was typed may be a secret, and is not
    kept.
    """
    line = {
        "id": new_id(),
        "at": datetime.now(UTC),
        "caller_id": None if by is None else by.id,
        "caller_name": NOBODY if by is None else by.name,
        "caller_role": NOBODY if by is None else by.role,
        "action": action,
        "outcome": "refused",
        "request_id": outbox.correlation_id(),
        "changes": 0,
        "detail": {"reason": reason, **detail},
    }
    async with database.transaction() as session:
        await history.insert_audit(session, line)
