"""Queries about access keys and what they open."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.access_keys import AccessKey
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, notices_of, notices_of_models
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.allowances import Allowance, notices_of_scopes, select_holders, stale_scopes
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import access_key_models, access_key_scopes, access_keys, consumers

_MODELS = Allowance(access_keys.c.is_restricted, access_key_models.c.access_key_id, access_key_models.c.model_id)
_SCOPES = Allowance(access_keys.c.is_scope_restricted, access_key_scopes.c.access_key_id, access_key_scopes.c.scope_id)
_alive = select_holders(_MODELS, _SCOPES)
_shown = _alive.add_columns(
    consumers.c.name.label("consumer_name"), consumers.c.is_active.label("is_consumer_active")
).outerjoin_from(access_keys, consumers, consumers.c.id == access_keys.c.consumer_id)


@dataclass(frozen=True, slots=True)
class AccessKeyRow(AccessKey):
    """An access key, and what of it is stale right now."""

    consumer_name: str | None = None
    is_consumer_active: bool | None = None
    warnings: list[Notice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AccessKeyFilter:
    """What a list of access keys is narrowed to; None leaves it open."""

    name: str | None = None
    search: str | None = None
    """Part of the name, or the first characters of the key."""
    consumer_id: UUID | None = None
    is_active: bool | None = None
    model_id: UUID | None = None
    """A model that it may call, as far as the key itself decides."""
    scope_id: UUID | None = None
    """A scope that it may name, as far as the key itself decides."""
    has_stale: bool | None = None
    """Whether it names a model that is not available."""
    expires_before: datetime | None = None


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


async def lock_access_keys_of(session: AsyncSession, consumer_id: UUID) -> list[AccessKey]:
    """Read the access keys of a consumer and keep others from changing them until the transaction ends."""
    held = sa.select(access_keys.c.id).where(
        access_keys.c.consumer_id == consumer_id, access_keys.c.deleted_at.is_(None)
    )
    ids = list(await session.scalars(held.order_by(access_keys.c.id).with_for_update()))
    return await rows.fetch_all(session, AccessKey, _alive.where(rows.among(access_keys.c.id, ids)))


async def find_access_key(session: AsyncSession, name: str) -> AccessKey | None:
    """Look an access key up by name."""
    return await rows.fetch_one(session, AccessKey, _alive.where(access_keys.c.name == name))


async def show_access_key(session: AsyncSession, access_key_id: UUID) -> AccessKeyRow:
    """Read an access key as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, AccessKeyRow, _shown.where(access_keys.c.id == access_key_id))
    if found is None:
        raise NotFoundError("access key", access_key_id)
    return (await _judged(session, [found]))[0]


async def list_access_keys(session: AsyncSession, wanted: AccessKeyFilter, *, paging: Paging) -> list[AccessKeyRow]:
    """List access keys as they stand right now, one more than the page holds."""
    query = _shown
    for name in ("name", "consumer_id", "is_active"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(access_keys.c[name] == value)
    if wanted.search is not None:
        is_named = access_keys.c.name.icontains(wanted.search, autoescape=True)
        query = query.where(is_named | access_keys.c.prefix.startswith(wanted.search, autoescape=True))
    if wanted.model_id is not None:
        query = query.where(_MODELS.lets(wanted.model_id))
    if wanted.scope_id is not None:
        query = query.where(_SCOPES.lets(wanted.scope_id))
    if wanted.has_stale is not None:
        query = query.where(_MODELS.has_stale_model if wanted.has_stale else ~_MODELS.has_stale_model)
    if wanted.expires_before is not None:
        query = query.where(access_keys.c.expires_at < wanted.expires_before)
    return await _judged(session, await rows.fetch_all(session, AccessKeyRow, page(query, access_keys, paging)))


async def every_access_key(session: AsyncSession) -> list[AccessKey]:
    """Read every access key for the snapshot."""
    return await rows.fetch_all(session, AccessKey, _alive.order_by(access_keys.c.id))


async def out_of_grace(session: AsyncSession, now: datetime, limit: int) -> list[UUID]:
    """Answer access keys whose previous key has had its time."""
    due = sa.select(access_keys.c.id).where(
        access_keys.c.deleted_at.is_(None), access_keys.c.previous_expires_at <= now
    )
    return list(await session.scalars(due.order_by(access_keys.c.previous_expires_at).limit(limit)))


async def insert_access_key(session: AsyncSession, access_key: AccessKey) -> None:
    """Add the access key with what it opens."""
    await references.insert_holder(session, access_keys, access_key)
    await save_models(session, access_key)
    await save_scopes(session, access_key)


async def save_access_key(session: AsyncSession, access_key: AccessKey) -> None:
    """Write the access key's fields, its models and scopes left as they are."""
    await references.save_holder(session, access_keys, access_key)


async def save_models(session: AsyncSession, access_key: AccessKey) -> None:
    """Write the access key's models in place of those that it had."""
    await _MODELS.save(session, access_key.id, access_key.model_ids)


async def save_scopes(session: AsyncSession, access_key: AccessKey) -> None:
    """Write the access key's scopes in place of those that it had."""
    await _SCOPES.save(session, access_key.id, access_key.scope_ids)


async def _judged(session: AsyncSession, found: list[AccessKeyRow]) -> list[AccessKeyRow]:
    models = await references.stale_among(session, {each for one in found for each in one.model_ids or []})
    scopes = await stale_scopes(session, {each for one in found for each in one.scope_ids or []})
    return [
        replace(
            one,
            warnings=[
                *_consumer_notices(one),
                *notices_of_models(one.model_ids or [], models),
                *notices_of_scopes(one.scope_ids or [], scopes),
            ],
        )
        for one in found
    ]


def _consumer_notices(access_key: AccessKeyRow) -> list[Notice]:
    if access_key.consumer_name is None or access_key.is_consumer_active:
        return []
    return notices_of([("consumer_id", access_key.consumer_name, "disabled")])
