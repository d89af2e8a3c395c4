"""The audit log as others read it: every line, streamed, and lines of commands that no request asked for."""

from collections.abc import AsyncIterator
from typing import Any

from modelbus.catalog.store import history
from modelbus.catalog.store.by_time import ByTime
from modelbus.catalog.store.history import AuditFilter, AuditLine
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database

READ_AT_ONCE = 1000


async def every_line(database: Database, wanted: AuditFilter) -> AsyncIterator[list[AuditLine]]:
    """Answer all lines, the newest first, some at a time; no transaction stays open while somebody reads slowly.

    Lines are never changed nor deleted, so that what is read in turns is what was there in the beginning.
    """
    page = ByTime(READ_AT_ONCE)
    while True:
        async with database.reading() as session:
            found = await history.list_audit(session, wanted, page=page)
        if lines := found[:READ_AT_ONCE]:
            yield lines
        if len(found) <= READ_AT_ONCE:
            return
        page = ByTime(READ_AT_ONCE, (str(lines[-1].id),))


async def audit_command(database: Database, command: str, **detail: Any) -> None:
    """Add a line about something that was done from the command line, where it has not added one itself."""
    async with database.transaction(Caller.system(command)) as session:
        session.info["command"], session.info["detail"] = command, detail


async def audit_reading(database: Database, caller: Caller, action: str, path: str, **detail: Any) -> None:
    """Add a line about something that was only read, and that matters who has."""
    async with database.transaction(caller) as session:
        session.info["action"], session.info["path"], session.info["detail"] = action, path, detail
