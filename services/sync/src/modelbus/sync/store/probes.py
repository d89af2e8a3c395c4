"""How suppliers are seen, in PostgreSQL; what is due goes to one replica, which moves it on before it looks."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.contracts.records import SupplierRecord
from modelbus.sync.domain.probes import Health, Look, Watch
from modelbus.sync.store.tables import watches


async def read_clock(session: AsyncSession) -> datetime:
    """Answer the time by the database's clock, the only one that all replicas share."""
    now = await session.scalar(sa.select(sa.func.clock_timestamp()))
    assert isinstance(now, datetime)  # noqa: S101 - PostgreSQL always knows the time
    return now


async def list_watches(session: AsyncSession, *, health: str | None = None) -> list[Watch]:
    """List how suppliers are seen, by their ids."""
    query = sa.select(watches).order_by(watches.c.supplier_id)
    return await _all(session, query if health is None else query.where(watches.c.health == health))


async def find_watch(session: AsyncSession, supplier_id: UUID) -> Watch | None:
    """Answer how the supplier is seen; None if nobody looks."""
    return next(iter(await _all(session, sa.select(watches).where(watches.c.supplier_id == supplier_id))), None)


async def lock_watch(session: AsyncSession, supplier_id: UUID) -> Watch | None:
    """Lock how the supplier is seen; None if nobody looks."""
    query = sa.select(watches).where(watches.c.supplier_id == supplier_id).with_for_update()
    return next(iter(await _all(session, query)), None)


async def lock_due(session: AsyncSession, now: datetime, *, limit: int) -> list[Watch]:
    """Lock those whose turn it is and that no other replica holds."""
    query = sa.select(watches).where(watches.c.due_at <= now).order_by(watches.c.due_at).limit(limit)
    return await _all(session, query.with_for_update(skip_locked=True))


async def save_watch(session: AsyncSession, watch: Watch) -> None:
    """Write every field of it."""
    values = _values(watch)
    await session.execute(sa.update(watches).where(watches.c.supplier_id == watch.supplier_id).values(values))


async def watch_suppliers(session: AsyncSession, suppliers: Mapping[UUID, SupplierRecord], now: datetime) -> None:
    """Look at these suppliers and at no others; new ones are due at once, those that have moved are unknown again."""
    await session.execute(sa.delete(watches).where(watches.c.supplier_id.not_in(suppliers)))
    if not suppliers:
        return
    new = [
        {
            "supplier_id": each.id,
            "base_url": each.base_url,
            "is_local": each.is_local,
            "health": Health.UNKNOWN,
            "since": now,
            "due_at": now,
            "looks": [],
            "told_health": Health.UNKNOWN,
        }
        for each in (suppliers[key] for key in sorted(suppliers))
    ]
    inserted = insert(watches).values(new)
    anew = ("base_url", "is_local", "health", "since", "due_at", "looks")
    moved = inserted.on_conflict_do_update(
        index_elements=["supplier_id"],
        set_={name: inserted.excluded[name] for name in anew}
        | dict.fromkeys(("last_ok_at", "traffic_ok_at", "traffic_failed_at"), sa.null()),
        where=(watches.c.base_url != inserted.excluded.base_url) | (watches.c.is_local != inserted.excluded.is_local),
    )
    await session.execute(moved)


async def does_nobody_answer(session: AsyncSession, watch: Watch, since: datetime) -> bool:
    """Tell whether no other supplier, of as many as are looked at on the same side, answered since then.

    Then it is rather we who are cut off. Where there is no other one, nobody can tell.
    """
    is_other = (watches.c.supplier_id != watch.supplier_id) & (watches.c.is_local == watch.is_local)
    query = sa.select(sa.func.count(), sa.func.count().filter(watches.c.last_ok_at >= since)).where(is_other)
    others, answering = (await session.execute(query)).one()
    return bool(others) and not answering


async def note_traffic(
    session: AsyncSession, served: Mapping[UUID, datetime], failed: Mapping[UUID, datetime], *, retry: timedelta
) -> None:
    """Note when routers last got an answer of each supplier, and when none; who let callers down is due soon."""
    now = await read_clock(session)
    for supplier_id in sorted({*served, *failed}):
        # The clock of a router may be ahead: what is to come must keep nobody from looking.
        ok_at, failed_at = (
            None if at is None else min(at, now) for at in (served.get(supplier_id), failed.get(supplier_id))
        )
        values: dict[str, Any] = {
            "traffic_ok_at": sa.func.greatest(watches.c.traffic_ok_at, ok_at),
            "traffic_failed_at": sa.func.greatest(watches.c.traffic_failed_at, failed_at),
        }
        if failed_at is not None and (ok_at is None or failed_at > ok_at):
            last = sa.func.coalesce(watches.c.looks[-1]["at"].astext.cast(sa.DateTime(timezone=True)), watches.c.since)
            values["due_at"] = sa.func.least(watches.c.due_at, last + retry)
        await session.execute(sa.update(watches).where(watches.c.supplier_id == supplier_id).values(values))


async def list_untold(session: AsyncSession, now: datetime, repeat: timedelta) -> list[Watch]:
    """List what the world has yet to be told, or told again because that was a while ago."""
    is_changed = watches.c.health != watches.c.told_health
    is_seen = watches.c.health != Health.UNKNOWN
    query = sa.select(watches).where(is_changed | (is_seen & (watches.c.told_at < now - repeat)))
    return await _all(session, query.order_by(watches.c.supplier_id))


async def note_told(session: AsyncSession, told: Watch, at: datetime) -> None:
    """Note that the world was told this, unless it has changed meanwhile."""
    is_it = (watches.c.supplier_id == told.supplier_id) & (watches.c.since == told.since)
    await session.execute(sa.update(watches).where(is_it).values(told_health=told.health, told_at=at))


def _values(watch: Watch) -> dict[str, Any]:
    return {**asdict(watch), "looks": [msgspec.to_builtins(look) for look in watch.looks]}


async def _all(session: AsyncSession, query: sa.Select[Any]) -> list[Watch]:
    names = [field.name for field in fields(Watch)]
    return [_watch({name: getattr(row, name) for name in names}) for row in await session.execute(query)]


def _watch(row: dict[str, Any]) -> Watch:
    return Watch(**{**row, "looks": tuple(msgspec.convert(row["looks"], list[Look]))})
