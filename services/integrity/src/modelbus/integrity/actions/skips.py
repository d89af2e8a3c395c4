"""Comparing what routers pass over with what was found: a skip that no finding explains is one itself."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.usage import RequestRecord, SkippedRecord
from modelbus.integrity.actions.findings import open_faults
from modelbus.integrity.domain.findings import Fault
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.skips import Skip, fault_of
from modelbus.integrity.store import findings, index, skips, view

SETTLED_AFTER = timedelta(seconds=5)
"""Both hear of a change within that time."""
LONGEST_WAIT = timedelta(seconds=60)
"""A revision that was not heard by then is of a kind that is not followed."""


async def note_skips(session: AsyncSession, told: Iterable[RequestRecord]) -> None:
    """Keep which places requests passed over."""
    await skips.add(session, _merged(told), datetime.now(UTC))


async def judge_skips(session: AsyncSession) -> int:
    """Open a finding of each place that was passed over while nothing was found there; answer how many."""
    if not await skips.are_waiting(session):
        return 0
    head = await index.lock_head(session)
    if not head.is_loaded:
        return 0
    now = datetime.now(UTC)
    due = await skips.take(
        session, revision=head.revision, heard_before=now - SETTLED_AFTER, late_before=now - LONGEST_WAIT
    )
    unexplained = [skip for skip in due if not await skips.is_flagged(session, skip)]
    holders = {skip.holder for skip in unexplained}
    places = [place for place in await view.list_places(session, sorted(holders)) if place.holder.is_active]
    # A place that is there no more was changed since.
    faults: dict[object, Fault] = {
        (fault := fault_of(skip, place)).spot: fault for skip in unexplained for place in places if skip.is_of(place)
    }
    known = {each.fault.spot for each in await findings.list_open(session, holders)} if holders else set()
    news = [fault for spot, fault in faults.items() if spot not in known]
    await open_faults(session, news, Telling(head.revision, now))
    return len(news)


def _place_key(skipped: SkippedRecord) -> str:
    if skipped.step_id is not None:
        return str(skipped.step_id)
    # Of all by which a model refers to itself, requests pass over one: that it is the default of its type.
    return "default" if skipped.reference_kind == HolderKind.MODEL else ""


def _merged(told: Iterable[RequestRecord]) -> Collection[Skip]:
    merged: dict[object, Skip] = {}
    for request in told:
        for skipped in request.skipped:
            place_key = _place_key(skipped)
            key = (skipped.reference_kind, skipped.owner_id, place_key, skipped.target_id)
            before = merged.get(key)
            merged[key] = Skip(
                *key,
                reason=skipped.reason,
                times=(before.times if before else 0) + 1,
                skipped_at=max(request.started_at, before.skipped_at) if before else request.started_at,
                catalog_revision=max(request.catalog_revision, before.catalog_revision if before else 0),
            )
    return merged.values()
