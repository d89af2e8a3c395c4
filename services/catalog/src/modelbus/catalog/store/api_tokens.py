"""Queries about API tokens."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.api_tokens import ApiToken
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import api_tokens

_alive = sa.select(api_tokens).where(api_tokens.c.deleted_at.is_(None))


async def lock_api_token(session: AsyncSession, token_id: UUID) -> ApiToken:
    """Read an API token and keep others from changing it until the transaction ends.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    token = await rows.fetch_one(session, ApiToken, _alive.where(api_tokens.c.id == token_id).with_for_update())
    if token is None:
        raise NotFoundError("API token", token_id)
    return token


async def find_api_token(session: AsyncSession, token_hash: str) -> ApiToken | None:
    """Look an API token up by its hash."""
    return await rows.fetch_one(session, ApiToken, _alive.where(api_tokens.c.hash == token_hash))


async def list_api_tokens(session: AsyncSession, *, of: UUID | None, paging: Paging) -> list[ApiToken]:
    """List a user's API tokens, or everybody's, one more than the page holds."""
    query = _alive if of is None else _alive.where(api_tokens.c.user_id == of)
    return await rows.fetch_all(session, ApiToken, page(query, api_tokens, paging))


async def insert_api_token(session: AsyncSession, token: ApiToken) -> None:
    """Add the API token."""
    await rows.insert_all(session, api_tokens, [token])


async def save_api_token(session: AsyncSession, token: ApiToken) -> None:
    """Write the API token's fields."""
    await rows.update_all(session, api_tokens, [token])


async def mark_used(session: AsyncSession, token_id: UUID, now: datetime, *, at_most_every: timedelta) -> None:
    """Keep when the API token was last used, to within that time."""
    stale = sa.or_(api_tokens.c.last_used_at.is_(None), api_tokens.c.last_used_at < now - at_most_every)
    await session.execute(sa.update(api_tokens).where(api_tokens.c.id == token_id, stale).values(last_used_at=now))
