"""What sources cost, as listings say it: the price in force follows them, unless an administrator set it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.prices import UNKNOWN, Amounts, Period, Schedule
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.store import prices, schedules
from modelbus.catalog.store.prices import COSTS
from modelbus.catalog.store.schedules import Turn
from modelbus.chassis.ids import new_id


async def begin_costs(session: AsyncSession, made: Sequence[Source]) -> None:
    """Begin a price for each new source whose cost is known; they have been written, or the constraint would object."""
    begun = [(source.id, period) for source in made if (period := _first(source)) is not None]
    await schedules.begin_periods(session, COSTS, begun)


async def follow_listing(
    session: AsyncSession, before: Mapping[UUID, Source], listed: Sequence[Source]
) -> list[Source]:
    """End and begin prices where a listing says another cost; answer the sources with what they cost now.

    A fixed number of statements, however many sources; the caller holds their models, and writes and tells them.
    """
    retold = [source for source in listed if _price(source) != _price(before[source.id])]
    if not retold:
        return list(listed)
    held = await prices.schedules_of(session, COSTS, [source.id for source in retold])
    clock = datetime.now(UTC)
    turns = {source.id: _follow(held[source.id], source, clock) for source in retold}
    await schedules.save_turns(session, COSTS, list(turns.values()))
    return [costing(source, turns[source.id].after) if source.id in turns else source for source in listed]


def costing(source: Source, schedule: Schedule) -> Source:
    """Answer the source with the cost that is in force; a listing's own notation stays where it says the same."""
    period = schedule.in_force
    amounts = UNKNOWN if period is None else period.amounts
    told = source.cost if Amounts.read(source.cost) == amounts else amounts.told()
    return replace(source, cost=told, cost_origin=Origin.LISTING if period is None else period.origin)


def _follow(schedule: Schedule, source: Source, clock: datetime) -> Turn:
    now = schedule.moment(clock)
    followed = schedule.at(now).follow(Amounts.read(source.cost), now, new_id, source.cost_origin)
    return Turn(schedule, followed, now)


def _price(source: Source) -> tuple[object, str]:
    return source.cost, source.cost_origin


def _first(source: Source) -> Period | None:
    amounts = Amounts.read(source.cost)
    if amounts.is_unknown:
        return None
    return Period(new_id(), source.created_at, None, is_open=True, amounts=amounts, origin=source.cost_origin)
