"""What can be done with consumers."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.access_keys import remove_access_key
from modelbus.catalog.actions.allowances import hold_allowed
from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.consumers import Consumer
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import access_keys, consumers
from modelbus.chassis.ids import new_id


async def create_consumer(session: AsyncSession, fields: dict[str, Any]) -> Consumer:
    """Add a consumer.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: one of its models or scopes does not exist.
    """
    await _refuse_taken_name(session, fields["name"])
    await hold_allowed(session, fields)
    now = datetime.now(UTC)
    consumer = Consumer(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    await consumers.insert_consumer(session, consumer)
    await keep(session, None, consumer)
    return consumer


async def change_consumer(session: AsyncSession, consumer_id: UUID, fields: dict[str, Any]) -> Consumer:
    """Change the given fields; a change that changes nothing tells nothing.

    While it is disabled none of its access keys opens anything: routers look at both.
    """
    # What it names before itself, as who replaces a model everywhere takes them.
    await hold_allowed(session, fields)
    consumer = await consumers.lock_consumer(session, consumer_id)
    expect(session, consumer)
    if fields.get("name", consumer.name) != consumer.name:
        await _refuse_taken_name(session, fields["name"])
    return await save_changed(session, consumer, replace(consumer, **fields))


async def delete_consumer(session: AsyncSession, consumer_id: UUID) -> None:
    """Take the consumer out of the catalog, and its access keys with it: without it they open nothing."""
    consumer = await consumers.lock_consumer(session, consumer_id)
    expect(session, consumer)
    for access_key in await access_keys.lock_access_keys_of(session, consumer_id):
        await remove_access_key(session, access_key)
    await consumers.save_consumer(session, stamp(replace(consumer, deleted_at=datetime.now(UTC))))
    await keep(session, consumer, None)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await consumers.find_consumer(session, name) is not None:
        raise AlreadyExistsError("consumer", "name", name)
