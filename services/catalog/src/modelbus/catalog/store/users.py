"""Queries about users."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.users import User
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import users

_alive = sa.select(users).where(users.c.deleted_at.is_(None))


async def get_user(session: AsyncSession, user_id: UUID) -> User:
    """Read a user.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    return _found(await find_user_by_id(session, user_id), user_id)


async def find_user_by_id(session: AsyncSession, user_id: UUID) -> User | None:
    """Look a user up by id."""
    return await rows.fetch_one(session, User, _alive.where(users.c.id == user_id))


async def lock_user(session: AsyncSession, user_id: UUID) -> User:
    """Read a user and keep others from changing it until the transaction ends."""
    query = _alive.where(users.c.id == user_id).with_for_update()
    return _found(await rows.fetch_one(session, User, query), user_id)


async def find_user(session: AsyncSession, name: str) -> User | None:
    """Look a user up by name."""
    return await rows.fetch_one(session, User, _alive.where(users.c.name == name))


async def find_issuers_user(session: AsyncSession, issuer: str, subject: str) -> User | None:
    """Look a user up by who they are to the issuer."""
    query = _alive.where(users.c.issuer == issuer, users.c.subject == subject)
    return await rows.fetch_one(session, User, query)


async def hold_issuers_subject(session: AsyncSession, issuer: str, subject: str) -> None:
    """Let one transaction at a time decide on a subject: two first sign-ins must not make two users."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(f"{issuer}#{subject}"))))


async def lock_admins(session: AsyncSession) -> list[User]:
    """Read the users who can administer users, and keep others from changing them until the transaction ends."""
    query = _alive.where(users.c.role == "admin", users.c.is_active).order_by(users.c.id)
    return await rows.fetch_all(session, User, query.with_for_update())


async def list_users(session: AsyncSession, *, name: str | None, role: str | None, paging: Paging) -> list[User]:
    """List users one more than the page holds."""
    query = _alive if name is None else _alive.where(users.c.name == name)
    query = query if role is None else query.where(users.c.role == role)
    return await rows.fetch_all(session, User, page(query, users, paging))


async def insert_user(session: AsyncSession, user: User) -> None:
    """Add the user."""
    await rows.insert_all(session, users, [user])


async def save_user(session: AsyncSession, user: User) -> None:
    """Write the user's fields."""
    await rows.update_all(session, users, [user])


def _found(user: User | None, user_id: UUID) -> User:
    if user is None:
        raise NotFoundError("user", user_id)
    return user
