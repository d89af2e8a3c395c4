"""Queries about versions and the audit log."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.store.tables import audit, versions


async def insert_audit(session: AsyncSession, line: dict[str, Any]) -> None:
    """Add a line to the audit log."""
    await session.execute(sa.insert(audit), [line])


async def insert_versions(session: AsyncSession, kept: list[dict[str, Any]]) -> None:
    """Add versions."""
    if kept:
        await session.execute(sa.insert(versions), kept)
