"""Retirement: what has come to its last day is not available any more, whether or not anybody changes it that day."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle, settle_models
from modelbus.catalog.store import models, sources

RETIRED_AT_ONCE = 500
"""Models that one transaction settles, so that it holds none of them for long."""


async def retire_due_models(session: AsyncSession) -> bool:
    """Settle models whose retirement is due; answer whether there may be more of them.

    Their configuration stays as it is: a later date brings them back. Nothing takes their place by itself.
    """
    due = await models.list_due_to_retire(session, datetime.now(UTC), limit=RETIRED_AT_ONCE)
    if due:
        held = await models.lock_models(session, due)
        await settle_models(session, held, [model for model in held.values() if model.deleted_at is None])
    return len(due) == RETIRED_AT_ONCE


async def retire_due_sources(session: AsyncSession) -> bool:
    """Settle models with a source that its supplier retires by now; answer whether there may be more of them.

    A listing that names a later date brings the source back.
    """
    due = await sources.list_models_of_due(session, datetime.now(UTC), limit=RETIRED_AT_ONCE)
    await settle(session, due)
    return bool(due)
