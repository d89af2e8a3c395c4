"""Judging: the open findings are made equal to the faults, and whatever changed is told."""

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.ids import new_id
from modelbus.chassis.outbox import record
from modelbus.contracts.references import ReferenceRestored, ReferenceStale
from modelbus.integrity.domain.findings import Fault, Finding, Resolution, compare
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.domain.staleness import find_stale
from modelbus.integrity.store import findings, holders

ALL_HOLDERS = None


async def judge_holders_of(session: AsyncSession, target_id: UUID, told: Telling) -> None:
    """Judge every holder that depends on the model or source."""
    affected = await holders.list_holders_of(session, target_id)
    if affected:
        await judge(session, affected, told)


async def judge(session: AsyncSession, holder_ids: Collection[UUID] | None, told: Telling) -> None:
    """Judge the holders, or all; the caller has locked the index.

    A holder is judged whole, because what one place can serve decides how bad the loss of another is.
    """
    places = await holders.list_places(session, holder_ids)
    comparison = compare(find_stale(places), await findings.list_open(session, holder_ids), places)
    now = datetime.now(UTC)
    opened = [(new_id(), fault) for fault in comparison.opened]
    await findings.save_opened(session, opened, told, now)
    await findings.save_altered(session, comparison.altered)
    await findings.save_closed(session, comparison.closed, told, now)
    for finding_id, fault in opened:
        await record(session, _stale(finding_id, fault, told))
    for finding, fault in comparison.altered:
        if not finding.says(fault):
            await record(session, _stale(finding.id, fault, told))
    for finding, resolution in comparison.closed:
        await record(session, _restored(finding, resolution))


def _stale(finding_id: UUID, fault: Fault, told: Telling) -> ReferenceStale:
    return ReferenceStale(
        finding_id=finding_id,
        holder_kind=fault.holder_kind,
        holder_id=fault.spot.holder_id,
        holder_name=fault.holder_name or "",
        place=fault.place,
        target_kind=fault.spot.target_kind,
        target_id=fault.spot.target_id,
        severity=fault.severity,
        reason=fault.reason,
        since=told.at,
    )


def _restored(finding: Finding, resolution: Resolution) -> ReferenceRestored:
    return ReferenceRestored(
        finding_id=finding.id,
        holder_kind=finding.holder_kind,
        holder_id=finding.spot.holder_id,
        holder_name=finding.holder_name or "",
        place=finding.place,
        target_kind=finding.spot.target_kind,
        target_id=finding.spot.target_id,
        resolution=resolution,
    )
