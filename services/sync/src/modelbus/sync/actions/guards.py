"""A supplier gets thresholds of its own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.guards import Guard
from modelbus.sync.store import guards


async def set_guard(session: AsyncSession, supplier_id: UUID, thresholds: Mapping[str, Any], by: str) -> Guard:
    """Judge the supplier's next listings by these; None among them is as for all."""
    guard = Guard(supplier_id=supplier_id, **thresholds, set_by=by, set_at=datetime.now(UTC))
    await guards.save_guard(session, guard)
    return guard
