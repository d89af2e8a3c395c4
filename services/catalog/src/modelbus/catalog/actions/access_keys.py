"""What can be done with access keys."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.references import each_of, hold_models
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.access_keys import AccessKey, hash_of, mint, prefix_of
from modelbus.catalog.domain.errors import AlreadyExistsError, ExpiryPassedError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import access_keys
from modelbus.chassis.ids import new_id


async def create_access_key(session: AsyncSession, fields: dict[str, Any]) -> tuple[AccessKey, str]:
    """Add an access key; answer it with the key itself, which nobody can read again.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: one of its models does not exist.
        ExpiryPassedError: it would have expired already.
    """
    await _refuse_taken_name(session, fields["name"])
    await hold_models(session, each_of("model_ids", fields["model_ids"] or []))
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
    access_key = await access_keys.lock_access_key(session, access_key_id)
    expect(session, access_key)
    now = datetime.now(UTC)
    if fields.get("name", access_key.name) != access_key.name:
        await _refuse_taken_name(session, fields["name"])
    if fields.get("expires_at") != access_key.expires_at:
        # A key that has expired may still be renamed by a PUT that repeats its expiry.
        _refuse_past(fields.get("expires_at"), now)
    await hold_models(session, each_of("model_ids", fields.get("model_ids") or []))
    if replace(access_key, **fields) == access_key:
        return access_key
    changed = stamp(replace(access_key, **fields))
    await access_keys.save_access_key(session, changed)
    if changed.model_ids != access_key.model_ids:
        await access_keys.save_models(session, changed)
    await keep(session, access_key, changed)
    return changed


async def delete_access_key(session: AsyncSession, access_key_id: UUID) -> None:
    """Take the access key out of the catalog; whoever presents it is refused from then on."""
    access_key = await access_keys.lock_access_key(session, access_key_id)
    expect(session, access_key)
    gone = stamp(replace(access_key, deleted_at=datetime.now(UTC)))
    await access_keys.save_access_key(session, gone)
    await keep(session, access_key, None)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await access_keys.find_access_key(session, name) is not None:
        raise AlreadyExistsError("access key", "name", name)


def _refuse_past(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise ExpiryPassedError
