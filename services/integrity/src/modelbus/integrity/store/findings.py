"""Queries about findings; they are opened, altered and closed, never deleted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.findings import Fault, Finding, FindingKind, Resolution, Severity, Spot, State
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store.index import among
from modelbus.integrity.store.tables import findings, holders, models, sources


@dataclass(frozen=True, slots=True)
class FindingFilter:
    """Which findings to list; None does not restrict."""

    holder_kind: HolderKind | None = None
    holder_id: UUID | None = None
    severity: Severity | None = None
    target_id: UUID | None = None
    state: State | None = None


async def list_open(session: AsyncSession, holder_ids: Collection[UUID] | None) -> list[Finding]:
    """List the open findings of some holders, or of all."""
    query = (
        sa.select(findings, holders.c.kind.label("holder_kind"), holders.c.name.label("holder_name"))
        .join(holders, holders.c.id == findings.c.holder_id)
        .where(findings.c.state != State.RESOLVED)
        .order_by(findings.c.id)
    )
    if holder_ids is not None:
        query = query.where(among(findings.c.holder_id, holder_ids))
    return [_finding(row) for row in await session.execute(query)]


async def save_opened(
    session: AsyncSession, opened: Collection[tuple[UUID, Fault]], told: Telling, now: datetime
) -> None:
    """Open a finding, under the given id, of each fault."""
    rows = [
        {
            "id": finding_id,
            "kind": fault.spot.kind,
            "holder_id": fault.spot.holder_id,
            "place_key": fault.spot.place_key,
            "place": fault.place,
            "target_kind": fault.spot.target_kind,
            "target_id": fault.spot.target_id,
            "severity": fault.severity,
            "reason": fault.reason,
            "state": State.OPEN,
            "since": told.at,
            "opened_at": now,
            "opened_revision": told.revision,
        }
        for finding_id, fault in opened
    ]
    if rows:
        await session.execute(sa.insert(findings), rows)


async def save_altered(session: AsyncSession, altered: Collection[tuple[Finding, Fault]]) -> None:
    """Let each finding say what its fault looks like now."""
    rows = [
        {"finding_id": finding.id, "severity": fault.severity, "reason": fault.reason, "place": fault.place}
        for finding, fault in altered
    ]
    if rows:
        await session.execute(sa.update(findings).where(findings.c.id == sa.bindparam("finding_id")), rows)


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


async def page_findings(
    session: AsyncSession, wanted: FindingFilter, limit: int, before: UUID | None
) -> Sequence[sa.Row[Any]]:
    """List findings newest first, with the names of holder and model, from before that id on."""
    model_id = sa.func.coalesce(sources.c.model_id, findings.c.target_id)
    query = (
        sa.select(
            findings,
            holders.c.kind.label("holder_kind"),
            holders.c.name.label("holder_name"),
            models.c.name.label("target_name"),
        )
        .join(holders, holders.c.id == findings.c.holder_id)
        .outerjoin(sources, sources.c.id == findings.c.target_id)
        .outerjoin(models, models.c.id == model_id)
        .order_by(findings.c.id.desc())
        .limit(limit)
    )
    restrictions = (
        (holders.c.kind, wanted.holder_kind),
        (findings.c.holder_id, wanted.holder_id),
        (findings.c.severity, wanted.severity),
        (findings.c.target_id, wanted.target_id),
        (findings.c.state, wanted.state),
    )
    query = query.where(*(column == value for column, value in restrictions if value is not None))
    if before is not None:
        query = query.where(findings.c.id < before)
    return (await session.execute(query)).all()


def _finding(row: Any) -> Finding:
    return Finding(
        id=row.id,
        spot=Spot(
            kind=FindingKind(row.kind),
            holder_id=row.holder_id,
            place_key=row.place_key,
            target_kind=TargetKind(row.target_kind),
            target_id=row.target_id,
        ),
        holder_kind=HolderKind(row.holder_kind),
        holder_name=row.holder_name,
        place=row.place,
        severity=Severity(row.severity),
        reason=row.reason,
    )
