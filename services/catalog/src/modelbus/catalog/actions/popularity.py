"""What usage tells of models: how many requests each served, on which day; the rules of tags may ask for it."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import usage as store
from modelbus.chassis.hearing import Heard
from modelbus.contracts.usage import RequestRecord, UsageRecorded

MOST_DAYS = 30
"""So far back a rule may look."""
KEPT = timedelta(days=MOST_DAYS + 1)
REMEMBERED = timedelta(days=2)
"""How long a batch may be told again: a busy router tells half a million a day, each of them a row."""
_SERVED = "ok"


async def count_usage(session: AsyncSession, heard: Iterable[Heard[UsageRecorded]]) -> None:
    """Count the requests of batches; one that comes twice is counted once, and one that is too old never.

    Batches are remembered for as long as they would count, so the whole stream may come again. Of a catalog, or a
    router, that was away for longer some requests are not counted, which changes the order of models little.
    """
    told = await store.take_uncounted(session, heard, since=datetime.now(UTC) - REMEMBERED)
    requests = (request for usage in told for request in usage.requests)
    await store.add_usage(session, Counter(served for request in requests if (served := _served(request))))


async def forget_usage(session: AsyncSession) -> None:
    """Delete what is older than any rule looks back, and batches that would not count any more."""
    now = datetime.now(UTC)
    await store.forget_usage(session, before=now - KEPT)
    await store.forget_batches(session, before=now - REMEMBERED)


def _served(request: RequestRecord) -> tuple[date, UUID] | None:
    """Answer on which day a request was served, and by which model; None if it was not, or is a copy of one."""
    if request.is_shadow:
        return None
    served_by = [attempt.model_id for attempt in request.attempts if attempt.outcome == _SERVED]
    return (request.started_at.astimezone(UTC).date(), served_by[-1]) if served_by else None
