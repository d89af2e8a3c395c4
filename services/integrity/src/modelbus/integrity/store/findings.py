"""Queries about findings; they are opened, altered, acknowledged and closed, never deleted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import bulk
from modelbus.integrity.domain.findings import (
    Fault,
    Finding,
    FindingKind,
    Resolution,
    Severity,
    Spot,
    State,
    rule_called,
)
from modelbus.integrity.domain.index import Key, Telling
from modelbus.integrity.domain.references import Holder, HolderKind
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store.keys import among_keys
from modelbus.integrity.store.tables import findings, records

UNRESOLVED = (State.OPEN, State.ACKNOWLEDGED)
_OPENED = (
    "id",
    "rule",
    "holder_kind",
    "holder_id",
    "place_key",
    "place",
    "target_kind",
    "target_id",
    "target_name",
    "severity",
    "reason",
    "evidence",
    "state",
    "since",
    "opened_at",
    "opened_revision",
)
_IS_HOLDER = (records.c.kind == findings.c.holder_kind) & (records.c.id == findings.c.holder_id)
_SHOWN = sa.select(findings, records.c.name.label("holder_name")).join(records, _IS_HOLDER)


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings to list; None does not restrict."""

    kinds: Collection[FindingKind] | None = None
    holder_kind: HolderKind | None = None
    holder_id: UUID | None = None
    severity: Severity | None = None
    target_id: UUID | None = None
    states: Collection[State] = tuple(State)


async def list_open(session: AsyncSession, holders: Collection[Key] | None) -> list[Finding]:
    """List the findings of some holders, or of all, that are not resolved."""
    query = _SHOWN.where(findings.c.state != State.RESOLVED).order_by(findings.c.id)
    if holders is not None:
        query = query.where(among_keys(findings.c.holder_kind, findings.c.holder_id, holders))
    return [_finding(row) for row in await session.execute(query)]


async def save_opened(
    session: AsyncSession, opened: Collection[tuple[UUID, Fault]], told: Telling, now: datetime
) -> None:
    """Open a finding, under the given id, of each fault."""
    rows = (
        (
            *(finding_id, fault.spot.rule, fault.spot.holder_kind, fault.spot.holder_id, fault.spot.place_key),
            *(fault.place, fault.spot.target_kind, fault.spot.target_id, fault.target_name, fault.severity),
            *(fault.reason, dict(fault.evidence), State.OPEN, told.at, now, told.revision),
        )
        for finding_id, fault in opened
    )
    await bulk.insert(session, findings, _OPENED, rows)


async def save_altered(session: AsyncSession, altered: Collection[tuple[Finding, Fault]]) -> None:
    """Let each finding say what its fault looks like now; one that became worse is to be acknowledged anew."""
    rows = [
        {
            "finding_id": finding.id,
            "severity": fault.severity,
            "reason": fault.reason,
            "place": fault.place,
            "target_name": fault.target_name,
            "evidence": dict(fault.evidence),
            "is_worse": fault.severity is Severity.DEAD and finding.fault.severity is not Severity.DEAD,
        }
        for finding, fault in altered
    ]
    if rows:
        is_worse = sa.bindparam("is_worse", type_=sa.Boolean)
        state = sa.case((is_worse, State.OPEN.value), else_=findings.c.state)
        await session.execute(
            sa.update(findings).where(findings.c.id == sa.bindparam("finding_id")).values(state=state),
            rows,
        )


async def save_closed(
    session: AsyncSession, closed: Collection[tuple[Finding, Resolution]], told: Telling, now: datetime
) -> None:
    """Close each finding for its reason."""
    rows = [
        {
            "finding_id": finding.id,
            "state": State.RESOLVED,
            "resolution": resolution,
            "closed_at": now,
            "closed_revision": told.revision,
        }
        for finding, resolution in closed
    ]
    if rows:
        await session.execute(sa.update(findings).where(findings.c.id == sa.bindparam("finding_id")), rows)


async def find_shown(session: AsyncSession, finding_id: UUID) -> sa.Row[Any] | None:
    """Find a finding as it is listed."""
    return (await session.execute(_SHOWN.where(findings.c.id == finding_id))).one_or_none()


async def acknowledge(session: AsyncSession, finding_id: UUID, by: str, now: datetime) -> bool:
    """Say that somebody knows; answer whether it was there and not resolved."""
    open_one = (findings.c.id == finding_id) & (findings.c.state != State.RESOLVED)
    # Whoever knew first stays the one who is named.
    known = (
        sa.update(findings)
        .where(open_one)
        .values(
            state=State.ACKNOWLEDGED,
            acknowledged_at=sa.case((findings.c.state == State.OPEN, now), else_=findings.c.acknowledged_at),
            acknowledged_by=sa.case((findings.c.state == State.OPEN, by), else_=findings.c.acknowledged_by),
        )
    )
    return (await session.execute(known.returning(findings.c.id))).one_or_none() is not None


async def page_findings(
    session: AsyncSession, wanted: FindingFilter, limit: int, before: UUID | None
) -> Sequence[sa.Row[Any]]:
    """List findings newest first, with the name of the holder, from before that id on."""
    restrictions = (
        (findings.c.holder_kind, wanted.holder_kind),
        (findings.c.holder_id, wanted.holder_id),
        (findings.c.severity, wanted.severity),
        (findings.c.target_id, wanted.target_id),
    )
    query = _SHOWN.where(*(column == value for column, value in restrictions if value is not None))
    query = query.where(findings.c.state.in_(wanted.states))
    if wanted.kinds is not None:
        query = query.where(sa.or_(sa.false(), *(_is_kind(kind) for kind in wanted.kinds)))
    if before is not None:
        query = query.where(findings.c.id < before)
    return (await session.execute(query.order_by(findings.c.id.desc()).limit(limit))).all()


def _is_kind(kind: FindingKind) -> sa.ColumnElement[bool]:
    rule, severity = kind.origin
    is_rule = findings.c.rule == rule
    return is_rule if severity is None else is_rule & (findings.c.severity == severity)


def read_fault(row: Any) -> Fault:
    """Read what a finding said last from a row of it."""
    spot = Spot(
        rule=rule_called(row.rule),
        holder_kind=row.holder_kind,
        holder_id=row.holder_id,
        place_key=row.place_key,
        target_kind=TargetKind(row.target_kind),
        target_id=row.target_id,
    )
    kind = HolderKind(row.holder_kind)
    name = row.target_name if kind is HolderKind.PRICE else row.holder_name
    holder = Holder(kind, row.holder_id, name, is_active=True)
    return Fault(spot, holder, row.place, row.target_name, Severity(row.severity), row.reason, row.evidence)


def _finding(row: Any) -> Finding:
    return Finding(id=row.id, fault=read_fault(row))


async def count_unresolved(session: AsyncSession) -> dict[tuple[str, ...], float]:
    """Count the findings that are not resolved by rule, severity and state."""
    by = (findings.c.rule, findings.c.severity, findings.c.state)
    query = sa.select(*by, sa.func.count()).where(findings.c.state != State.RESOLVED).group_by(*by)
    return {(rule, severity, state): float(count) for rule, severity, state, count in await session.execute(query)}
