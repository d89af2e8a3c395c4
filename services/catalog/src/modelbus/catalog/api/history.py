"""How history is shown, wherever it is asked for: versions with what differs, pages with the newest first."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AwareDatetime

from modelbus.catalog.api.views import Cursor, Limit, View
from modelbus.catalog.store.by_time import ByTime
from modelbus.catalog.store.history import Version

Since = Annotated[AwareDatetime | None, Query(description="From that moment on; with its time zone.")]
Until = Annotated[AwareDatetime | None, Query(description="Before that moment; with its time zone.")]
Caller = Annotated[str | None, Query(max_length=200, description="Name of the user, of the token, or `sync`.")]


class Difference(View):
    """A field that differs."""

    field: str
    before: Any
    after: Any


class VersionView(View):
    """One version: what differs from the one before, by whom and when."""

    kind: str
    thing_id: UUID
    version: int
    """The ETag of the thing as it was then."""
    name: str
    is_deletion: bool
    """Whether the thing was deleted in it."""
    at: datetime
    caller_id: UUID | None
    caller_name: str
    """Who did it; `sync` stands for a listing that was applied."""
    caller_role: str
    audit_id: UUID | None
    """Its line in the audit log, where a person asked for it."""
    differences: list[Difference]


def shown_version(version: Version) -> VersionView:
    """Show a version."""
    return VersionView(**_fields(version))


def shown_differences(changed: dict[str, list[Any]]) -> list[Difference]:
    """Show what differs."""
    return [Difference(field=name, before=before, after=after) for name, (before, after) in changed.items()]


def _fields(version: Version) -> dict[str, Any]:
    return {
        "kind": version.kind,
        "thing_id": version.thing_id,
        "version": version.number,
        "name": version.name,
        "is_deletion": version.is_deletion,
        "at": version.at,
        "caller_id": version.caller_id,
        "caller_name": version.caller_name,
        "caller_role": version.caller_role,
        "audit_id": version.audit_id,
        "differences": shown_differences(version.changed),
    }


class Order(StrEnum):
    """In which order a history is shown."""

    NEWEST_FIRST = "-at"
    OLDEST_FIRST = "at"


Sort = Annotated[Order, Query(description="`-at`: the newest first; `at`: the oldest first.")]


async def _read_page(limit: Limit = 50, cursor: Cursor = None, sort: Sort = Order.NEWEST_FIRST) -> ByTime:
    return ByTime.read(limit, cursor, oldest_first=sort is Order.OLDEST_FIRST)


InTime = Annotated[ByTime, Depends(_read_page)]
"""The page of a list in order of time, the newest first unless it is asked for otherwise."""
