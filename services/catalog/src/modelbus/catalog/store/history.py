"""Queries about versions and the audit log."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import rows
from modelbus.catalog.store.by_time import ByTime, by_time
from modelbus.catalog.store.tables import audit, versions
from modelbus.chassis import bulk

_SHOWN = [column for column in versions.c if column.name != "document"]
_IS_DELETION = versions.c.document.is_(None).label("is_deletion")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a thing: what differs from the one before, by whom and when."""

    kind: str
    thing_id: UUID
    number: int
    name: str
    audit_id: UUID | None
    at: datetime
    caller_id: UUID | None
    caller_name: str
    caller_role: str
    changed: dict[str, list[Any]]
    is_deletion: bool


@dataclass(frozen=True, slots=True)
class VersionFilter:
    """What a list of versions is narrowed to; None leaves it open."""

    kind: str | None = None
    thing_id: UUID | None = None
    name: str | None = None
    caller: str | None = None
    audit_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    kinds: Collection[str] | None = None
    """The kinds that the caller may see."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One administrative action."""

    id: UUID
    at: datetime
    caller_id: UUID | None
    caller_name: str
    caller_role: str
    action: str
    outcome: str
    request_id: str | None
    changes: int
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str | None:
        """The path that was asked for, ids and all."""
        return self.detail.get("path")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What the audit log is narrowed to; None leaves it open."""

    caller: str | None = None
    action: str | None = None
    """Part of the method and path pattern."""
    path: str | None = None
    """How the path begins."""
    kind: str | None = None
    thing_id: UUID | None = None
    outcome: str | None = None
    request_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def insert_audit(session: AsyncSession, line: dict[str, Any]) -> None:
    """Add a line to the audit log."""
    await session.execute(sa.insert(audit), [line])


async def insert_versions(session: AsyncSession, kept: list[dict[str, Any]]) -> None:
    """Add versions."""
    if kept:
        await bulk.insert(session, versions, list(kept[0]), (list(row.values()) for row in kept))


async def list_versions_of(session: AsyncSession, kind: str, thing_id: UUID, *, page: ByTime) -> list[Version]:
    """List the versions of one thing, in order of time and one more than the page holds."""
    query = sa.select(*_SHOWN, _IS_DELETION).where(versions.c.kind == kind, versions.c.thing_id == thing_id)
    return await rows.fetch_all(session, Version, by_time(query, [versions.c.number], page))


async def list_versions(session: AsyncSession, wanted: VersionFilter, *, page: ByTime) -> list[Version]:
    """List versions of all things, in order of time and one more than the page holds."""
    query = sa.select(*_SHOWN, _IS_DELETION).where(*_criteria_of_versions(wanted))
    keys = [versions.c.at, versions.c.kind, versions.c.thing_id, versions.c.number]
    return await rows.fetch_all(session, Version, by_time(query, keys, page))


async def get_version(
    session: AsyncSession, kind: str, thing_id: UUID, number: int
) -> tuple[Version, dict[str, Any] | None]:
    """Read one version with its document; None where it is the deletion.

    Raises:
        NotFoundError: there is no such version.
    """
    query = sa.select(*_SHOWN, _IS_DELETION, versions.c.document).where(
        versions.c.kind == kind, versions.c.thing_id == thing_id, versions.c.number == number
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFoundError(f"version of {kind} {str(thing_id)!r}", str(number))
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    document: dict[str, Any] | None = values.pop("document")
    return Version(**values), document


async def newest_documents(
    session: AsyncSession, kind: str, ids: Collection[UUID]
) -> dict[UUID, tuple[int, dict[str, Any] | None]]:
    """Read the number and the document of the newest version of each thing that has some."""
    query = (
        sa.select(versions.c.thing_id, versions.c.number, versions.c.document)
        .where(versions.c.kind == kind, rows.among(versions.c.thing_id, ids))
        .ext(distinct_on(versions.c.thing_id))
        .order_by(versions.c.thing_id, versions.c.number.desc())
    )
    return {row.thing_id: (row.number, row.document) for row in await session.execute(query)}


async def list_audit(session: AsyncSession, wanted: AuditFilter, *, page: ByTime) -> list[AuditLine]:
    """List the audit log, in order of time and one more than the page holds."""
    query = sa.select(audit).where(*_criteria_of_audit(wanted))
    return await rows.fetch_all(session, AuditLine, by_time(query, [audit.c.id], page))


async def get_audit(session: AsyncSession, audit_id: UUID) -> AuditLine:
    """Read one line of the audit log.

    Raises:
        NotFoundError: there is none.
    """
    found = await rows.fetch_one(session, AuditLine, sa.select(audit).where(audit.c.id == audit_id))
    if found is None:
        raise NotFoundError("line of the audit log", audit_id)
    return found


def _criteria_of_versions(wanted: VersionFilter) -> list[sa.ColumnElement[bool]]:
    criteria = _equals(versions, kind=wanted.kind, thing_id=wanted.thing_id, name=wanted.name, audit_id=wanted.audit_id)
    if wanted.kinds is not None:
        criteria.append(versions.c.kind.in_(wanted.kinds))
    return [*criteria, *_by_and_when(versions, wanted)]


def _criteria_of_audit(wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    criteria = _equals(audit, outcome=wanted.outcome, request_id=wanted.request_id)
    if wanted.action is not None:
        criteria.append(audit.c.action.icontains(wanted.action, autoescape=True))
    if wanted.path is not None:
        criteria.append(audit.c.detail["path"].astext.startswith(wanted.path, autoescape=True))
    if wanted.kind is not None or wanted.thing_id is not None:
        changed = _equals(versions, kind=wanted.kind, thing_id=wanted.thing_id)
        criteria.append(sa.exists().where(versions.c.audit_id == audit.c.id, *changed))
    return [*criteria, *_by_and_when(audit, wanted)]


def _by_and_when(table: sa.Table, wanted: VersionFilter | AuditFilter) -> list[sa.ColumnElement[bool]]:
    criteria = _equals(table, caller_name=wanted.caller)
    if wanted.since is not None:
        criteria.append(table.c.at >= wanted.since)
    if wanted.until is not None:
        criteria.append(table.c.at < wanted.until)
    return criteria


def _equals(table: sa.Table, **values: Any) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in values.items() if value is not None]
