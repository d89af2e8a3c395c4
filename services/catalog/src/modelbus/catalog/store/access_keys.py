"""Queries about access keys and the models that they may call."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.access_keys import AccessKey
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import access_key_models, access_keys

_places = (
    sa.select(access_key_models.c.model_id)
    .where(access_key_models.c.access_key_id == access_keys.c.id)
    .order_by(access_key_models.c.position)
    .scalar_subquery()
)
_alive = sa.select(
    *(column for column in access_keys.c if column.name != "is_restricted"),
    sa.case((access_keys.c.is_restricted, sa.func.array(_places, type_=ARRAY(sa.Uuid)))).label("model_ids"),
).where(access_keys.c.deleted_at.is_(None))


async def get_access_key(session: AsyncSession, access_key_id: UUID) -> AccessKey:
    """Read an access key.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, AccessKey, _alive.where(access_keys.c.id == access_key_id))
    if found is None:
        raise NotFoundError("access key", access_key_id)
    return found


async def lock_access_key(session: AsyncSession, access_key_id: UUID) -> AccessKey:
    """Read an access key and keep others from changing it until the transaction ends."""
    await references.lock_holder(session, access_keys, access_key_id)
    return await get_access_key(session, access_key_id)


async def find_access_key(session: AsyncSession, name: str) -> AccessKey | None:
    """Look an access key up by name."""
    return await rows.fetch_one(session, AccessKey, _alive.where(access_keys.c.name == name))


async def list_access_keys(session: AsyncSession, *, name: str | None, paging: Paging) -> list[AccessKey]:
    """List access keys one more than the page holds."""
    query = _alive if name is None else _alive.where(access_keys.c.name == name)
    return await rows.fetch_all(session, AccessKey, page(query, access_keys, paging))


async def every_access_key(session: AsyncSession) -> list[AccessKey]:
    """Read every access key for the snapshot."""
    return await rows.fetch_all(session, AccessKey, _alive.order_by(access_keys.c.id))


async def insert_access_key(session: AsyncSession, access_key: AccessKey) -> None:
    """Add the access key with its models."""
    await references.insert_holder(session, access_keys, access_key)
    await save_models(session, access_key)


async def save_access_key(session: AsyncSession, access_key: AccessKey) -> None:
    """Write the access key's fields, its models left as they are."""
    await references.save_holder(session, access_keys, access_key)


async def save_models(session: AsyncSession, access_key: AccessKey) -> None:
    """Write the access key's models in place of those that it had."""
    places = [
        {"position": position, "model_id": model_id} for position, model_id in enumerate(access_key.model_ids or [])
    ]
    await references.replace_places(session, access_key_models.c.access_key_id, access_key.id, places)
