"""How many runs and watches there are of each kind."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.probes import Health
from modelbus.sync.domain.runs import Status
from modelbus.sync.store.tables import runs, watches

LATELY = timedelta(days=1)

type Counts = dict[tuple[str, ...], float]


async def count_runs(session: AsyncSession) -> Counts:
    """Count the runs of the last day by status."""
    query = sa.select(runs.c.status, sa.func.count()).where(runs.c.requested_at > sa.func.now() - LATELY)
    return await _counts(session, query.group_by(runs.c.status), Status)


async def count_watches(session: AsyncSession) -> Counts:
    """Count the suppliers that are watched by health."""
    return await _counts(session, sa.select(watches.c.health, sa.func.count()).group_by(watches.c.health), Health)


async def _counts(session: AsyncSession, query: sa.Select[Any], words: type[Status | Health]) -> Counts:
    """Answer the counts, those of words that nothing has included: a figure that is not there is no zero."""
    counts: Counts = {(str(word),): 0.0 for word in words}
    for word, count in await session.execute(query):
        counts[word,] = float(count)
    return counts
