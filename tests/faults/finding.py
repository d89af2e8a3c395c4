"""Findings: those of integrity are the places that the catalog's own tables show broken, and each was told once."""

import json
from collections import Counter
from collections.abc import Iterable

from nats.js.api import RawStreamMsg

from faults.reading import Fetch, Forgotten

BROKEN_PLACES = """
    WITH places (kind, holder_id, model_id, source_id) AS (
        SELECT 'chain', chain_id, model_id, source_id FROM catalog.chain_steps
            JOIN catalog.chains ON chains.id = chain_id WHERE is_active AND deleted_at IS NULL
        UNION ALL SELECT 'complexity', routing_id, model_id, NULL FROM catalog.complexity_levels
            JOIN catalog.complexity_routings ON complexity_routings.id = routing_id
            WHERE is_active AND deleted_at IS NULL
        UNION ALL SELECT 'scope', scope_id, model_id, NULL FROM catalog.scope_models
            JOIN catalog.scopes ON scopes.id = scope_id WHERE is_active AND deleted_at IS NULL
        UNION ALL SELECT 'scope', id, default_model_id, NULL FROM catalog.scopes
            WHERE default_model_id IS NOT NULL AND is_active AND deleted_at IS NULL
    )
    SELECT kind, holder_id, coalesce(source_id, places.model_id), count(*)::int FROM places
        JOIN catalog.models ON models.id = places.model_id LEFT JOIN catalog.sources ON sources.id = source_id
        WHERE NOT models.is_available OR NOT coalesce(sources.is_available, true) GROUP BY 1, 2, 3
"""
OPEN = """
    SELECT holder_kind, holder_id, target_id, count(*)::int FROM integrity.findings
        WHERE rule = 'stale_reference' AND state <> 'resolved' AND holder_kind IN ('chain', 'complexity', 'scope')
        GROUP BY 1, 2, 3
"""
LIVES = "SELECT id::text, state = 'resolved' FROM integrity.findings"
EPOCH = "SELECT epoch FROM integrity.integrity_head"


async def check_recomputed(fetch: Fetch) -> None:
    """Count the broken places by the catalog's tables, and find the same number open at each holder and target.

    Raises:
        AssertionError: there is one too many or too few, or nothing is broken and so nothing was compared.
    """
    broken = {tuple(row)[:3]: row[3] for row in await fetch(BROKEN_PLACES)}
    assert broken, "the load ends with a source disabled"
    assert {tuple(row)[:3]: row[3] for row in await fetch(OPEN)} == broken


async def check_told_once(
    messages: Iterable[RawStreamMsg], fetch: Fetch, *, forgotten: Forgotten | None = None
) -> None:
    """Find each finding told when it was opened, and told to be mended once if it is, and not otherwise.

    A database that was put back has forgotten findings, and that some were mended. Then all that it knows was told,
    and what its present epoch has told is what it knows, and not told twice.

    Raises:
        AssertionError: the stream says something else than the table.
    """
    [(epoch,)] = await fetch(EPOCH)
    ever, lately = _Times(), _Times()
    for each in messages:
        ever.count(each)
        if not forgotten or (each.headers or {})["ce-epoch"] == str(epoch):
            lately.count(each)
    lives = {row[0]: row[1] for row in await fetch(LIVES)}
    mended = Counter(key for key, is_mended in lives.items() if is_mended)
    assert set(lately.opened) <= set(lives) <= set(ever.opened)
    assert lately.mended <= mended <= ever.mended


class _Times:
    """How often findings were told."""

    def __init__(self) -> None:
        self.opened: Counter[str] = Counter()
        self.mended: Counter[str] = Counter()

    def count(self, message: RawStreamMsg) -> None:
        times = {"reference.stale": self.opened, "reference.restored": self.mended}[message.subject or ""]
        times[json.loads(message.data or b"{}")["finding_id"]] += 1
