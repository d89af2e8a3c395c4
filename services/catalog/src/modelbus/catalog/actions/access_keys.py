"""What can be done with access keys."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.allowances import hold_allowed
from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.access_keys import AccessKey, hash_of, mint, prefix_of
from modelbus.catalog.domain.errors import (
    AlreadyExistsError,
    DanglingReferenceError,
    ExpiryPassedError,
    NotFoundError,
)
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import access_keys, consumers
from modelbus.chassis.ids import new_id

ENDED_AT_ONCE = 100


async def create_access_key(session: AsyncSession, fields: dict[str, Any]) -> tuple[AccessKey, str]:
    """Add an access key; answer it with the key itself, which nobody can read again.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: its consumer, or one of its models or scopes, does not exist.
        ExpiryPassedError: it would have expired already.
    """
    await _refuse_taken_name(session, fields["name"])
    await _hold_targets(session, fields)
    key = mint()
    now = datetime.now(UTC)
    _refuse_past(fields["expires_at"], now)
    access_key = AccessKey(
        **fields,
        id=new_id(),
        prefix=prefix_of(key),
        key_hash=hash_of(key),
        is_active=True,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    await access_keys.insert_access_key(session, access_key)
    await keep(session, None, access_key)
    return access_key, key


async def change_access_key(session: AsyncSession, access_key_id: UUID, fields: dict[str, Any]) -> AccessKey:
    """Change the given fields; a change that changes nothing tells nothing."""
    # What it names before itself, as who replaces a model everywhere, or deletes a consumer, takes them.
    await _hold_targets(session, fields)
    access_key = await access_keys.lock_access_key(session, access_key_id)
    expect(session, access_key)
    if fields.get("name", access_key.name) != access_key.name:
        await _refuse_taken_name(session, fields["name"])
    if fields.get("expires_at") != access_key.expires_at:
        # A key that has expired may still be renamed by a PUT that repeats its expiry.
        _refuse_past(fields.get("expires_at"), datetime.now(UTC))
    return await save_changed(session, access_key, replace(access_key, **fields))


async def rotate_access_key(session: AsyncSession, access_key_id: UUID, grace: timedelta) -> tuple[AccessKey, str]:
    """Give it another key; answer it with the key itself. The one before opens until the grace is over.

    Raises:
        RotationUnderWayError: an earlier key is in its grace still.
    """
    access_key = await access_keys.lock_access_key(session, access_key_id)
    expect(session, access_key)
    key = mint()
    rotated = access_key.rotated(key, grace, datetime.now(UTC))
    return await save_changed(session, access_key, rotated), key


async def delete_access_key(session: AsyncSession, access_key_id: UUID) -> None:
    """Take the access key out of the catalog; whoever presents it is refused from then on."""
    access_key = await access_keys.lock_access_key(session, access_key_id)
    expect(session, access_key)
    await remove_access_key(session, access_key)


async def remove_access_key(session: AsyncSession, access_key: AccessKey) -> None:
    """Delete a locked access key, by itself or with its consumer."""
    gone = replace(access_key.without_previous(), deleted_at=datetime.now(UTC))
    await access_keys.save_access_key(session, stamp(gone))
    await keep(session, access_key, None)


async def end_graces(session: AsyncSession) -> bool:
    """Let previous keys cease whose time is over, and tell so; answer whether there may be more."""
    now = datetime.now(UTC)
    due = await access_keys.out_of_grace(session, now, ENDED_AT_ONCE)
    for access_key_id in sorted(due):
        try:
            access_key = await access_keys.lock_access_key(session, access_key_id)
        except NotFoundError:
            continue  # Deleted meanwhile.
        if access_key.previous_expires_at is not None and access_key.previous_expires_at <= now:
            ended = access_key.without_previous()
            await access_keys.save_access_key(session, ended)
            await keep(session, access_key, ended)
    return len(due) == ENDED_AT_ONCE


async def _hold_targets(session: AsyncSession, fields: dict[str, Any]) -> None:
    await hold_allowed(session, fields)
    consumer_id: UUID | None = fields.get("consumer_id")
    if consumer_id is not None and not await consumers.hold_consumer(session, consumer_id):
        raise DanglingReferenceError("consumer_id", "consumer", consumer_id)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await access_keys.find_access_key(session, name) is not None:
        raise AlreadyExistsError("access key", "name", name)


def _refuse_past(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise ExpiryPassedError
