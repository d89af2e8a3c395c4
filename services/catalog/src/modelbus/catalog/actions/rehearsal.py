"""Rehearsals: doing something for real and taking it back, so that a preview is exactly what would come of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession


@asynccontextmanager
async def rehearsed(session: AsyncSession, *, only: bool) -> AsyncIterator[None]:
    """Take back what the block did if it was only a rehearsal: rows, events and versions; locks stay until the end."""
    if not only:
        yield
        return
    # Lists and maps of what is to be written are copied: the block adds to them in place.
    before = {key: value.copy() if hasattr(value, "copy") else value for key, value in session.info.items()}
    nested = await session.begin_nested()
    try:
        yield
    finally:
        await nested.rollback()
        session.info.clear()
        session.info.update(before)
