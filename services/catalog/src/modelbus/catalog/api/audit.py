"""The audit log over REST: who did what and when, and what came of it; it only grows."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import StreamingResponse

from modelbus.catalog.actions.audit import every_line
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.history import Caller, InTime, Since, Until, VersionView, shown_version
from modelbus.catalog.api.views import Page, View
from modelbus.catalog.store import history as store
from modelbus.catalog.store.by_time import ByTime, cursor_of
from modelbus.catalog.store.history import AuditFilter, AuditLine, VersionFilter
from modelbus.chassis.transactions import Reading

routes = APIRouter(prefix="/api/v1/audit", tags=["audit"], dependencies=GUARDS)

SHOWN_CHANGES = 200
FIELDS = ("id", "at", "caller_id", "caller_name", "caller_role", "action", "outcome", "request_id", "changes", "detail")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that spreadsheets compute: https://owasp.org/www-community/attacks/CSV_Injection."""


class Format(StrEnum):
    """How the log is written."""

    CSV = "csv"
    JSONL = "jsonl"


class AuditLineView(View):
    """One administrative action, or one that was refused."""

    id: UUID
    at: datetime
    caller_id: UUID | None
    """The user's, where a user did it."""
    caller_name: str
    caller_role: str
    action: str
    """Method and path pattern, or the command."""
    path: str | None
    """The path that was asked for."""
    outcome: str
    """`done` or `refused`."""
    request_id: str | None
    """As in the answer's `X-Request-Id` and in the logs."""
    changes: int
    """How many things have a new version by it."""
    detail: dict[str, Any]


class AuditEntry(AuditLineView):
    """One line with what changed."""

    versions: list[VersionView]
    """The first 200; all of them by `GET /api/v1/versions?audit_id=`."""


async def _read_filter(  # noqa: PLR0913, PLR0917 - each is a filter of its own in the query string
    caller: Caller = None,
    action: Annotated[str | None, Query(max_length=300, description="Part of method and path pattern.")] = None,
    path: Annotated[str | None, Query(max_length=1000, description="How the path begins.")] = None,
    kind: Annotated[str | None, Query(max_length=50, description="What was changed: `model`, `chain` ...")] = None,
    thing_id: Annotated[UUID | None, Query(description="The thing that was changed.")] = None,
    outcome: Annotated[str | None, Query(max_length=50, description="`done` or `refused`.")] = None,
    request_id: Annotated[str | None, Query(max_length=200)] = None,
    since: Since = None,
    until: Until = None,
) -> AuditFilter:
    return AuditFilter(caller, action, path, kind, thing_id, outcome, request_id, since, until)


Wanted = Annotated[AuditFilter, Depends(_read_filter)]


@routes.get("")
async def list_audit(session: Reading, page: InTime, wanted: Wanted) -> Page[AuditLineView]:
    """List administrative actions, the newest first: every change, and what was refused for lack of a right."""
    found = await store.list_audit(session, wanted, page=page)
    shown = found[: page.limit]
    return Page(
        items=[AuditLineView.model_validate(line) for line in shown],
        next_cursor=cursor_of(shown[-1].id) if len(found) > page.limit else None,
    )


@routes.get(
    "/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {}, "application/jsonl": {}}, "description": "The log, newest first."}},
)
async def export_audit(
    request: Request,
    wanted: Wanted,
    form: Annotated[Format, Query(alias="format", description="How it is written.")] = Format.CSV,
) -> StreamingResponse:
    """Write all lines that the filter lets through, the newest first, as CSV or as one JSON object a line.

    In CSV a text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    lines = every_line(request.app.state.database, wanted)
    headers = {"Content-Disposition": f'attachment; filename="audit.{form}"'}
    if form == Format.CSV:
        return StreamingResponse(_csv(lines), media_type="text/csv; charset=utf-8", headers=headers)
    return StreamingResponse(_jsonl(lines), media_type="application/jsonl", headers=headers)


@routes.get("/{audit_id}")
async def show_audit(audit_id: UUID, session: Reading) -> AuditEntry:
    """Show one administrative action, with what differs in each thing that it changed."""
    line = await store.get_audit(session, audit_id)
    found = await store.list_versions(session, VersionFilter(audit_id=audit_id), page=ByTime(SHOWN_CHANGES))
    versions = [shown_version(each) for each in found[:SHOWN_CHANGES]]
    return AuditEntry(**dict(AuditLineView.model_validate(line)), versions=versions)


async def _jsonl(found: AsyncIterator[list[AuditLine]]) -> AsyncIterator[bytes]:
    async for lines in found:
        yield b"".join(msgspec.json.encode({name: getattr(line, name) for name in FIELDS}) + b"\n" for line in lines)


async def _csv(found: AsyncIterator[list[AuditLine]]) -> AsyncIterator[str]:
    page = io.StringIO()
    writer = csv.writer(page)
    writer.writerow(FIELDS)
    async for lines in found:
        writer.writerows([_cell(getattr(line, name)) for name in FIELDS] for line in lines)
        yield page.getvalue()
        page.seek(0)
        page.truncate()
    yield page.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    text = msgspec.json.encode(value).decode() if isinstance(value, dict) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
