"""What usage tells of credentials and access keys: when each was last used."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store import uses
from modelbus.contracts.usage import UsageRecorded


async def note_uses(session: AsyncSession, told: Iterable[UsageRecorded]) -> None:
    """Note the latest use of each credential and access key; a batch that comes twice changes nothing."""
    requests = [request for usage in told for request in usage.requests]
    attempts = [attempt for request in requests for attempt in request.attempts]
    await uses.note_uses_of_credentials(session, _latest((one.credential_id, one.started_at) for one in attempts))
    await uses.note_uses_of_access_keys(session, _latest((one.access_key_id, one.started_at) for one in requests))


def _latest(seen: Iterable[tuple[UUID | None, datetime]]) -> dict[UUID, datetime]:
    found: dict[UUID, datetime] = {}
    for key, at in seen:
        if key is not None:
            found[key] = max(at, found.get(key, at))
    return found
