"""Judging: the open findings are made equal to the faults, and whatever changed is told."""

from collections.abc import Collection
from datetime import UTC, datetime
from itertools import batched
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.ids import new_id
from modelbus.chassis.outbox import record
from modelbus.contracts.references import ReferenceRestored, ReferenceStale
from modelbus.integrity.domain.errors import FindingNotFoundError, FindingResolvedError
from modelbus.integrity.domain.findings import Fault, Finding, Resolution, State, compare
from modelbus.integrity.domain.index import Key, Telling
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.rules import Circumstances, find_faults
from modelbus.integrity.store import findings, index, known, references, view

ALL_HOLDERS = None
JUDGED_AT_ONCE = 1000
"""Holders whose places are in memory at the same time."""


async def circumstances(session: AsyncSession) -> Circumstances:
    """Look up what the rules must know beside the places."""
    return Circumstances(datetime.now(UTC).date(), await known.is_charging(session))


async def judge(session: AsyncSession, holders: Collection[Key] | None, told: Telling) -> None:
    """Judge the holders, or all; the caller has locked the index.

    A holder is judged whole, because what one place can serve decides how bad the loss of another is.
    """
    now = await circumstances(session)
    if holders is None:
        await _judge_all(session, now, told)
        return
    for some in batched(sorted(holders), JUDGED_AT_ONCE):
        await _judge_some(session, some, now, told)


async def _judge_all(session: AsyncSession, now: Circumstances, told: Telling) -> None:
    after: Key | None = None
    while some := await references.list_holders(session, tuple(HolderKind), JUDGED_AT_ONCE, after):
        await _judge_some(session, some, now, told)
        after = some[-1]
    await index.save_judged_on(session, now.today)


async def _judge_some(session: AsyncSession, holders: Collection[Key], now: Circumstances, told: Telling) -> None:
    places = await view.list_places(session, holders)
    open_findings = await findings.list_open(session, holders)
    comparison = compare(find_faults(places, now), open_findings, places)
    await open_faults(session, comparison.opened, told)
    await findings.save_altered(session, comparison.altered)
    await findings.save_closed(session, comparison.closed, told, datetime.now(UTC))
    for finding, fault in comparison.altered:
        if not finding.says(fault):
            await record(session, _stale(finding.id, fault, told))
    for finding, resolution in comparison.closed:
        await record(session, _restored(finding, resolution))


async def open_faults(session: AsyncSession, faults: Collection[Fault], told: Telling) -> None:
    """Open a finding of each fault that has none, and tell it."""
    opened = [(new_id(), fault) for fault in faults]
    await findings.save_opened(session, opened, told, datetime.now(UTC))
    for finding_id, fault in opened:
        await record(session, _stale(finding_id, fault, told))


async def acknowledge(session: AsyncSession, finding_id: UUID, by: str) -> sa.Row[Any]:
    """Say that somebody knows of a finding; to say it again changes nothing.

    Raises:
        FindingNotFoundError: there never was one under that id.
        FindingResolvedError: it is closed, so there is nothing to know of any more.
    """
    is_done = await findings.acknowledge(session, finding_id, by, datetime.now(UTC))
    shown = await findings.find_shown(session, finding_id)
    if shown is None:
        raise FindingNotFoundError(f"no finding has the id {finding_id}")
    if not is_done and shown.state == State.RESOLVED:
        raise FindingResolvedError(f"finding {finding_id} was resolved at {shown.closed_at.isoformat()}")
    return shown


def _stale(finding_id: UUID, fault: Fault, told: Telling) -> ReferenceStale:
    return ReferenceStale(
        finding_id=finding_id, severity=fault.severity, reason=fault.reason, since=told.at, **_told_of(fault)
    )


def _restored(finding: Finding, resolution: Resolution) -> ReferenceRestored:
    return ReferenceRestored(finding_id=finding.id, resolution=resolution, **_told_of(finding.fault))


def _told_of(fault: Fault) -> dict[str, Any]:
    return {
        "holder_kind": fault.spot.holder_kind,
        "holder_id": fault.spot.holder_id,
        "holder_name": fault.holder.name or "",
        "place": fault.place,
        "target_kind": fault.spot.target_kind,
        "target_id": fault.spot.target_id,
        "kind": fault.kind,
        "where": fault.where,
        "evidence": dict(fault.evidence),
    }
