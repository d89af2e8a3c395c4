"""Queries about the keys that sign sessions."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.signing_keys import SigningKey
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import SCHEMA, signing_keys


async def every_signing_key(session: AsyncSession) -> list[SigningKey]:
    """Read every signing key, the newest first."""
    return await rows.fetch_all(session, SigningKey, sa.select(signing_keys).order_by(signing_keys.c.id.desc()))


async def lock_signing_keys(session: AsyncSession) -> list[SigningKey]:
    """Read every signing key, and let no other transaction make or retire one until this one ends."""
    lock = sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"{SCHEMA}.signing_keys"))
    await session.execute(sa.select(lock))
    return await every_signing_key(session)


async def insert_signing_key(session: AsyncSession, key: SigningKey) -> None:
    """Add the signing key."""
    await rows.insert_all(session, signing_keys, [key])


async def retire_others(session: AsyncSession, key_id: UUID, now: datetime) -> None:
    """Let no key but this one sign any more."""
    others = sa.update(signing_keys).where(signing_keys.c.id != key_id, signing_keys.c.retired_at.is_(None))
    await session.execute(others.values(retired_at=now))


async def delete_signing_keys(session: AsyncSession, key_ids: list[UUID]) -> None:
    """Delete signing keys; what they signed is refused from then on."""
    if key_ids:
        await session.execute(sa.delete(signing_keys).where(rows.among(signing_keys.c.id, key_ids)))
