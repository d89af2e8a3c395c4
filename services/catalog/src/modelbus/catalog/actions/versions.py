"""Versions: every change is told, kept with who made it, and refused to who has not seen the change before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.telling import TELL
from modelbus.catalog.domain.errors import ChangedMeanwhileError, ConditionNotTakenError
from modelbus.catalog.domain.things import LIFE, Thing
from modelbus.catalog.store import history
from modelbus.chassis import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CHANGES

_NOTED = "catalog.noted"
_CONDITION = "if_match"
_AUDITED = "catalog.audited"


@dataclass(slots=True)
class _Noted:
    before: Thing | None
    after: Thing | None


class Which(NamedTuple):
    """One version of one thing."""

    kind: str
    thing_id: UUID
    number: int


class By(NamedTuple):
    """Who makes versions, in which line of the audit log, and when."""

    caller: Caller
    audit_id: UUID | None
    at: datetime


def expect(session: AsyncSession, thing: Thing) -> None:
    """Hold the caller to the version that they have seen (`If-Match`); call it once the thing is locked.

    The first thing that an action locks is the one that the request is about; only that one is compared.

    Raises:
        ChangedMeanwhileError: it has been changed since.
    """
    condition = session.info.pop(_CONDITION, None)
    if condition is None or condition.strip() == "*":
        return
    if tag(thing) not in [each.strip() for each in condition.split(",")]:
        raise ChangedMeanwhileError(thing.KIND, thing.id, thing.version)


def tag(thing: Thing) -> str:
    """Answer the ETag of a thing: the version of its configuration."""
    return f'"{thing.version}"'


async def keep(session: AsyncSession, before: Thing | None, after: Thing | None) -> None:
    """Tell that a thing was created (no `before`), changed, or deleted (no `after`), and keep the version."""
    note(session, before, after)
    thing = after or before
    if thing is None or thing.KIND not in TELL:
        return
    tell, change = TELL[thing.KIND], CHANGES[thing.KIND]
    if after is None:
        await outbox.record(session, change.gone(thing.id))
    elif before is None or tell(before) != tell(after):
        await outbox.record(session, change.to(tell(after)))


def note(session: AsyncSession, before: Thing | None, after: Thing | None) -> None:
    """Keep the version only; for things whose change is told by who settles availability."""
    thing = after or before
    if thing is None:
        return
    noted: dict[tuple[str, UUID], _Noted] = session.info.setdefault(_NOTED, {})
    first = noted.get((thing.KIND, thing.id))
    noted[thing.KIND, thing.id] = _Noted(before if first is None else first.before, after)


async def write(session: AsyncSession) -> None:
    """Write what was noted, and the audit log's line if a person or a command asked; the transaction's end calls this.

    Raises:
        ConditionNotTakenError: the request has an `If-Match`, and nothing was there to compare it with.
    """
    if session.info.pop(_CONDITION, None) is not None:
        raise ConditionNotTakenError
    by = _by(session)
    versions = _versions(session, by)
    if by.audit_id is not None:
        await history.insert_audit(session, _audit(session, by, len(versions)))
    await history.insert_versions(session, versions)


async def write_line(session: AsyncSession, changes: int) -> By:
    """Write the audit log's line at once, for versions that are written before the transaction's end."""
    by = _by(session)
    if by.audit_id is not None:
        session.info[_AUDITED] = True
        await history.insert_audit(session, _audit(session, by, changes))
    return by


def _by(session: AsyncSession) -> By:
    caller: Caller = session.info["caller"]
    is_audited = (caller.is_person or "command" in session.info) and _AUDITED not in session.info
    return By(caller, new_id() if is_audited else None, datetime.now(UTC))


async def write_ahead(session: AsyncSession) -> None:
    """Write what was noted so far, so that memory need not hold all that a large listing makes."""
    caller: Caller = session.info["caller"]
    # A person's versions refer to their line in the audit log, which tells how many there are and so comes at the end.
    if not caller.is_person:
        await history.insert_versions(session, _versions(session, By(caller, None, datetime.now(UTC))))


def document(thing: Thing) -> dict[str, Any]:
    """Answer the configuration of a thing as JSON: no secrets, nothing that the catalog finds out by itself."""
    told: dict[str, Any] = msgspec.to_builtins(thing)
    return {name: value for name, value in told.items() if name not in LIFE | thing.UNVERSIONED}


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Answer the fields that differ, each with its value before and after."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}


def version_row(which: Which, before: dict[str, Any] | None, after: dict[str, Any] | None, by: By) -> dict[str, Any]:
    """Answer the row of a version that leads from one document to another; None stands for not being there."""
    return {
        "kind": which.kind,
        "thing_id": which.thing_id,
        "number": which.number,
        "name": str((after or before or {}).get("name", which.thing_id)),
        "audit_id": by.audit_id,
        "at": by.at,
        "caller_id": by.caller.id,
        "caller_name": by.caller.name,
        "caller_role": by.caller.role,
        "document": after,
        "changed": differences(before, after),
    }


def _versions(session: AsyncSession, by: By) -> list[dict[str, Any]]:
    """Take what was noted, and answer the rows of what differs."""
    noted: dict[tuple[str, UUID], _Noted] = session.info.pop(_NOTED, {})
    rows = (_version(each, by) for each in noted.values())
    return [row for row in rows if row is not None and row["changed"]]


def _version(noted: _Noted, by: By) -> dict[str, Any] | None:
    thing = noted.after or noted.before
    if thing is None:
        return None
    number = thing.version if noted.after is not None else thing.version + 1
    before = None if noted.before is None else document(noted.before)
    after = None if noted.after is None else document(noted.after)
    return version_row(Which(thing.KIND, thing.id, number), before, after, by)


def _audit(session: AsyncSession, by: By, changes: int) -> dict[str, Any]:
    path = session.info.get("path")
    return {
        "id": by.audit_id,
        "at": by.at,
        "caller_id": by.caller.id,
        "caller_name": by.caller.name,
        "caller_role": by.caller.role,
        "action": session.info.get("action") or f"command {session.info.get('command', '')}".strip(),
        "outcome": "done",
        "request_id": outbox.correlation_id(),
        "changes": changes,
        "detail": {**({"path": path} if path else {}), **session.info.get("detail", {})},
    }
