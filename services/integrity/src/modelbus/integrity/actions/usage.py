"""Counting what routers tell of requests, and answering who is used how much."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.hearing import Heard
from modelbus.contracts.usage import RequestRecord, UsageRecorded
from modelbus.integrity.domain.usage import EVERYTHING, RECENT, Share, Use
from modelbus.integrity.store import usage as store

_KEPT = RECENT + timedelta(hours=1)
_FAILED = ("failed", "cut")


async def count_usage(session: AsyncSession, heard: Iterable[Heard[UsageRecorded]]) -> list[RequestRecord]:
    """Count requests, and answer them: those of batches that were not counted before, and are not too old to be."""
    told = await store.take_uncounted(session, heard, since=datetime.now(UTC) - _KEPT)
    counted = [request for usage in told for request in usage.requests]
    used: dict[tuple[datetime, UUID], Use] = {}
    for request in counted:
        hour = request.started_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for target_id, has_failed in _targets(request).items():
            before = used.get((hour, target_id), Use())
            used[hour, target_id] = Use(before.requests + 1, before.failures + has_failed)
    await store.add(session, used)
    return counted


async def share_of(session: AsyncSession, target_ids: Collection[UUID]) -> Share | None:
    """Answer what the targets have of recent requests; None where nobody told of any request."""
    uses = await recent_uses(session, {*target_ids, EVERYTHING})
    everything = uses.pop(EVERYTHING, Use())
    if not everything.requests:
        return None
    return Share(min(sum(use.requests for use in uses.values()), everything.requests), everything.requests)


async def recent_uses(session: AsyncSession, target_ids: Collection[UUID]) -> dict[UUID, Use]:
    """Answer the recent uses of some targets; who was not used is left out."""
    return await store.list_uses(session, target_ids, datetime.now(UTC) - RECENT)


async def forget_usage(session: AsyncSession) -> None:
    """Delete what nobody looks back to."""
    await store.forget(session, before=datetime.now(UTC) - _KEPT)


def _targets(request: RequestRecord) -> dict[UUID, bool]:
    """List what was asked to serve the request, and whether it failed at least once; a copy serves nobody."""
    targets: dict[UUID, bool] = {}
    if request.is_shadow:
        return targets
    for attempt in request.attempts:
        for target_id in (attempt.model_id, attempt.source_id, attempt.supplier_id):
            targets[target_id] = targets.get(target_id, False) or attempt.outcome in _FAILED
    return targets and {EVERYTHING: any(targets.values()), **targets}
