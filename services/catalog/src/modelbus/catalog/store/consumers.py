"""Queries about consumers and what they may use."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.consumers import Consumer
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, StaleModels, notices_of_models
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.allowances import Allowance, notices_of_scopes, select_holders, stale_scopes
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.references import HolderFilter
from modelbus.catalog.store.tables import access_keys, consumer_models, consumer_scopes, consumers, models

_MODELS = Allowance(consumers.c.is_restricted, consumer_models.c.consumer_id, consumer_models.c.model_id)
_SCOPES = Allowance(consumers.c.is_scope_restricted, consumer_scopes.c.consumer_id, consumer_scopes.c.scope_id)
_alive = select_holders(_MODELS, _SCOPES)


@dataclass(frozen=True, slots=True)
class ConsumerRow(Consumer):
    """A consumer, how many access keys it holds, and what of it is stale right now."""

    access_keys: int = 0
    warnings: list[Notice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ConsumerFilter(HolderFilter):
    """What a list of consumers is narrowed to; None leaves it open."""

    kind: str | None = None
    tier: str | None = None
    scope_id: UUID | None = None
    """A scope that it may name."""


async def get_consumer(session: AsyncSession, consumer_id: UUID) -> Consumer:
    """Read a consumer.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, Consumer, _alive.where(consumers.c.id == consumer_id))
    if found is None:
        raise NotFoundError("consumer", consumer_id)
    return found


async def lock_consumer(session: AsyncSession, consumer_id: UUID) -> Consumer:
    """Read a consumer and keep others from changing it until the transaction ends."""
    await references.lock_holder(session, consumers, consumer_id)
    return await get_consumer(session, consumer_id)


async def hold_consumer(session: AsyncSession, consumer_id: UUID) -> bool:
    """Tell whether the consumer lives, and keep it from being changed until the transaction ends."""
    query = sa.select(consumers.c.id).where(consumers.c.id == consumer_id, consumers.c.deleted_at.is_(None))
    return await session.scalar(query.with_for_update(read=True, key_share=True)) is not None


async def find_consumer(session: AsyncSession, name: str) -> Consumer | None:
    """Look a consumer up by name."""
    return await rows.fetch_one(session, Consumer, _alive.where(consumers.c.name == name))


async def show_consumer(session: AsyncSession, consumer_id: UUID) -> ConsumerRow:
    """Read a consumer as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, ConsumerRow, _alive.where(consumers.c.id == consumer_id))
    if found is None:
        raise NotFoundError("consumer", consumer_id)
    return (await _judged(session, [found]))[0]


async def list_consumers(session: AsyncSession, wanted: ConsumerFilter, *, paging: Paging) -> list[ConsumerRow]:
    """List consumers as they stand right now, one more than the page holds."""
    query = references.narrowed(_alive, consumers, wanted, refers_to=_MODELS.lets, has_stale=_MODELS.has_stale_model)
    for name in ("kind", "tier"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(consumers.c[name] == value)
    if wanted.scope_id is not None:
        query = query.where(_SCOPES.lets(wanted.scope_id))
    return await _judged(session, await rows.fetch_all(session, ConsumerRow, page(query, consumers, paging)))


async def every_consumer(session: AsyncSession) -> list[Consumer]:
    """Read every consumer for the snapshot."""
    return await rows.fetch_all(session, Consumer, _alive.order_by(consumers.c.id))


async def insert_consumer(session: AsyncSession, consumer: Consumer) -> None:
    """Add the consumer with what it may use."""
    await references.insert_holder(session, consumers, consumer)
    await save_models(session, consumer)
    await save_scopes(session, consumer)


async def save_consumer(session: AsyncSession, consumer: Consumer) -> None:
    """Write the consumer's fields, its models and scopes left as they are."""
    await references.save_holder(session, consumers, consumer)


async def save_models(session: AsyncSession, consumer: Consumer) -> None:
    """Write the consumer's models in place of those that it had."""
    await _MODELS.save(session, consumer.id, consumer.model_ids)


async def save_scopes(session: AsyncSession, consumer: Consumer) -> None:
    """Write the consumer's scopes in place of those that it had."""
    await _SCOPES.save(session, consumer.id, consumer.scope_ids)


async def _judged(session: AsyncSession, found: list[ConsumerRow]) -> list[ConsumerRow]:
    """Count what each holds and judge what each names; a fixed number of statements."""
    named = {each for one in found for each in one.model_ids or []}
    stale = await references.stale_among(session, named)
    tiers = await _tiers_of(session, named)
    scopes = await stale_scopes(session, {each for one in found for each in one.scope_ids or []})
    counted = await _keys_of(session, [one.id for one in found])
    return [
        replace(one, access_keys=counted.get(one.id, 0), warnings=_notices(one, stale, tiers, scopes)) for one in found
    ]


def _notices(
    one: ConsumerRow, stale: StaleModels, tiers: Mapping[UUID, tuple[str, str]], scopes: StaleModels
) -> list[Notice]:
    found = notices_of_models(one.model_ids or [], stale)
    for place, model_id in enumerate(one.model_ids or []):
        name, tier = tiers.get(model_id, ("", ""))
        if tier in one.tiers_above:
            found.append(Notice(f"model_ids.{place}", "tier_too_low", f"{name!r} needs tier {tier!r} at least"))
    return [*found, *notices_of_scopes(one.scope_ids or [], scopes)]


async def _tiers_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, tuple[str, str]]:
    query = sa.select(models.c.id, models.c.name, models.c.tier).where(rows.among(models.c.id, ids))
    return {row.id: (row.name, row.tier) for row in await session.execute(query)}


async def _keys_of(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, int]:
    query = (
        sa.select(access_keys.c.consumer_id, sa.func.count())
        .where(rows.among(access_keys.c.consumer_id, ids), access_keys.c.deleted_at.is_(None))
        .group_by(access_keys.c.consumer_id)
    )
    return {row[0]: row[1] for row in await session.execute(query)}
