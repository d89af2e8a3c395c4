"""Queries about sessions and their refresh tokens."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.sessions import Session
from modelbus.catalog.domain.users import User
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import refresh_tokens, sessions, users


async def find_session(session: AsyncSession, session_id: UUID) -> Session | None:
    """Read a session, over or not."""
    return await rows.fetch_one(session, Session, sa.select(sessions).where(sessions.c.id == session_id))


async def find_user_of_session(session: AsyncSession, session_id: UUID, now: datetime) -> User | None:
    """Read whose session it is; None when it is over."""
    query = sa.select(users).join(sessions, sessions.c.user_id == users.c.id)
    query = query.where(sessions.c.id == session_id, sessions.c.ended_at.is_(None), sessions.c.expires_at > now)
    return await rows.fetch_one(session, User, query)


async def insert_session(session: AsyncSession, begun: Session, refresh_hash: str) -> None:
    """Add the session with its first refresh token."""
    await rows.insert_all(session, sessions, [begun])
    await insert_refresh_token(session, begun.id, refresh_hash)


async def insert_refresh_token(session: AsyncSession, session_id: UUID, refresh_hash: str) -> None:
    """Add the refresh token that follows."""
    await session.execute(sa.insert(refresh_tokens).values(hash=refresh_hash, session_id=session_id))


async def use_refresh_token(session: AsyncSession, refresh_hash: str, now: datetime) -> UUID | None:
    """Mark the refresh token as used and answer its session; None when it was used before, or never made."""
    unused = sa.update(refresh_tokens).where(refresh_tokens.c.hash == refresh_hash, refresh_tokens.c.used_at.is_(None))
    row = (await session.execute(unused.values(used_at=now).returning(refresh_tokens.c.session_id))).one_or_none()
    return None if row is None else row.session_id


async def find_session_of_refresh_token(session: AsyncSession, refresh_hash: str) -> UUID | None:
    """Answer the session of a refresh token, used or not; None when it was never made."""
    query = sa.select(refresh_tokens.c.session_id).where(refresh_tokens.c.hash == refresh_hash)
    found: UUID | None = await session.scalar(query)
    return found


async def end_session(session: AsyncSession, session_id: UUID, now: datetime) -> bool:
    """End a session; answer whether it was not over before."""
    ended = sa.update(sessions).where(sessions.c.id == session_id, sessions.c.ended_at.is_(None)).values(ended_at=now)
    return (await session.execute(ended.returning(sessions.c.id))).one_or_none() is not None


async def end_sessions(session: AsyncSession, user_id: UUID, now: datetime) -> None:
    """End every session of a user."""
    await session.execute(
        sa.update(sessions).where(sessions.c.user_id == user_id, sessions.c.ended_at.is_(None)).values(ended_at=now)
    )


async def forget_sessions(session: AsyncSession, *, before: datetime) -> None:
    """Delete the sessions that were over by that time."""
    over = sa.select(sessions.c.id).where(sessions.c.expires_at < before)
    await session.execute(sa.delete(refresh_tokens).where(refresh_tokens.c.session_id.in_(over)))
    await session.execute(sa.delete(sessions).where(sessions.c.expires_at < before))
