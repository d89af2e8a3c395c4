"""Versions: every change is told, kept with who made it, and refused to who has not seen the change before."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
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


@dataclass(slots=True)
class _Noted:
    before: Thing | None
    after: Thing | None


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
    """Write what was noted, and the audit log's line if a person asked for it; the transaction's end calls this.

    Raises:
        ConditionNotTakenError: the request has an `If-Match`, and nothing was there to compare it with.
    """
    caller: Caller = session.info["caller"]
    if session.info.pop(_CONDITION, None) is not None:
        raise ConditionNotTakenError
    noted: dict[tuple[str, UUID], _Noted] = session.info.pop(_NOTED, {})
    made_at = datetime.now(UTC)
    audit_id = new_id() if caller.is_person else None
    versions = [row for each in noted.values() if (row := _version(each, caller, audit_id, made_at)) is not None]
    if audit_id is not None:
        await history.insert_audit(session, _audit(session, audit_id, caller, len(versions), made_at))
    await history.insert_versions(session, versions)


def document(thing: Thing) -> dict[str, Any]:
    """Answer the configuration of a thing as JSON: no secrets, nothing that the catalog finds out by itself."""
    told: dict[str, Any] = msgspec.to_builtins(thing)
    return {name: value for name, value in told.items() if name not in LIFE | thing.UNVERSIONED}


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Answer the fields that differ, each with its value before and after."""
    old, new = before or {}, after or {}
    names = [*old, *(name for name in new if name not in old)]
    return {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}


def _version(noted: _Noted, caller: Caller, audit_id: UUID | None, at: datetime) -> dict[str, Any] | None:
    before = None if noted.before is None else document(noted.before)
    after = None if noted.after is None else document(noted.after)
    changed = differences(before, after)
    thing = noted.after or noted.before
    if thing is None or not changed:
        return None
    return {
        "kind": thing.KIND,
        "thing_id": thing.id,
        "number": thing.version if noted.after is not None else thing.version + 1,
        "name": str((after or before or {}).get("name", thing.id)),
        "audit_id": audit_id,
        "at": at,
        "caller_id": caller.id,
        "caller_name": caller.name,
        "caller_role": caller.role,
        "document": after,
        "changed": changed,
    }


def _audit(session: AsyncSession, audit_id: UUID, caller: Caller, changes: int, at: datetime) -> dict[str, Any]:
    return {
        "id": audit_id,
        "at": at,
        "caller_id": caller.id,
        "caller_name": caller.name,
        "caller_role": caller.role,
        "action": session.info.get("action", "command"),
        "outcome": "done",
        "request_id": outbox.correlation_id(),
        "changes": changes,
        "detail": session.info.get("detail", {}),
    }
