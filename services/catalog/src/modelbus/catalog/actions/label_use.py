"""Who bears a label, as a refusal to delete it lists them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.models import Model
from modelbus.catalog.store import labelled

LISTED = 100
"""Models that a refusal lists; it counts all."""


async def findings_of(session: AsyncSession, bears: sa.ColumnElement[bool]) -> tuple[list[dict[str, Any]], int]:
    """Answer the first models that bear a label, as findings, and the number of all."""
    found = await labelled.first_bearers(session, bears, limit=LISTED)
    findings = [
        {"kind": Model.KIND, "id": str(each.id), "name": each.name, "message": f"model {each.name!r}"} for each in found
    ]
    total = len(found) if len(found) < LISTED else await labelled.count_bearers(session, bears)
    return findings, total
