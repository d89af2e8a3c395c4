"""What can be done with prices: set, changed and taken back from now on; what was in force stays as it was."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.costs import costing
from modelbus.catalog.actions.tagging import retag_priced
from modelbus.catalog.actions.telling import price_record
from modelbus.catalog.actions.versions import expect, note
from modelbus.catalog.domain.errors import DanglingReferenceError, NotFoundError
from modelbus.catalog.domain.price_errors import DynamicChargeError, PriceUnknownError
from modelbus.catalog.domain.prices import Amounts, Charge, Period, Schedule
from modelbus.catalog.domain.sources import Origin, Source
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import models, references, sources
from modelbus.catalog.store import prices as store
from modelbus.catalog.store.prices import CHARGES, COSTS, Book
from modelbus.catalog.store.schedules import Turn, save_turns
from modelbus.chassis import outbox
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import PriceChanged

TURNED_AT_ONCE = 500

type Change = Callable[[Schedule, datetime], Schedule]
"""What is done to a schedule, and when."""


async def set_price(
    session: AsyncSession,
    book: Book,
    owner_id: UUID,
    amounts: Amounts,
    begins: datetime | None = None,
    ends: datetime | None = None,
) -> Schedule:
    """Charge for a model, or know the cost of a source, from a time on; without one, at once.

    Raises:
        DanglingReferenceError: there is no such model or source.
        PriceUnknownError: no amount is known.
        DynamicChargeError: a model's charge would be decided per call.
        PriceOverlapError: another price begins or is to end within the period.
    """
    _refuse_unfit(book, amounts)
    await _hold_living(session, book, owner_id)

    def change(schedule: Schedule, now: datetime) -> Schedule:
        wanted = Period(new_id(), begins or now, ends, ends is None, amounts, Origin.ADMINISTRATOR)
        return schedule.set(wanted, now, new_id)

    return await _turn(session, book, owner_id, change)


async def change_price(session: AsyncSession, price_id: UUID, fields: Mapping[str, Any]) -> Schedule:
    """Change `begins`, `ends` or `amounts` of a price that has not begun; the end alone of one that is in force.

    Raises:
        PriceBegunError: it is in force.
        PriceOverError: it is history.
        PriceUnknownError: no amount would be known.
    """
    book, owner_id = await _hold_owner(session, price_id)
    told = dict(fields)
    if "amounts" in fields:
        _refuse_unfit(book, fields["amounts"])
        told["origin"] = Origin.ADMINISTRATOR
    return await _turn(session, book, owner_id, lambda schedule, now: schedule.change(price_id, told, now, new_id))


async def withdraw_price(session: AsyncSession, price_id: UUID) -> Schedule:
    """Take back a price that has not begun.

    Raises:
        PriceBegunError: it is in force.
        PriceOverError: it is history.
    """
    book, owner_id = await _hold_owner(session, price_id)
    return await _turn(session, book, owner_id, lambda schedule, now: schedule.withdraw(price_id, now))


async def end_price(session: AsyncSession, price_id: UUID) -> Schedule:
    """End a price that is in force; the next listing sets the cost of a source anew.

    Raises:
        PriceNotBegunError: it is to come.
        PriceOverError: it is history.
    """
    book, owner_id = await _hold_owner(session, price_id)
    return await _turn(session, book, owner_id, lambda schedule, now: schedule.end(price_id, now))


async def restore_price(session: AsyncSession, thing_id: UUID, document: Mapping[str, Any]) -> Schedule:
    """Let the schedule of a model or source say from now on what a version of it says; the past stays.

    Raises:
        DanglingReferenceError: the model or source was deleted.
    """
    book = CHARGES if document.get("model_id") is not None else COSTS
    await _hold_living(session, book, thing_id)
    wanted = msgspec.convert(document["periods"], list[Period])
    return await _turn(session, book, thing_id, lambda schedule, now: schedule.restored(wanted, now, new_id))


async def turn_prices(session: AsyncSession, book: Book) -> bool:
    """Bring into force, or end, the prices whose time has come; answer whether there may be more."""
    clock = datetime.now(UTC)
    due = await store.due(session, book, clock, limit=TURNED_AT_ONCE)
    if due:
        await _hold_models(session, book, due)
        held = await store.schedules_of(session, book, due)
        await carry_out(session, book, [turned(session, each, clock) for each in held.values()])
    return len(due) == TURNED_AT_ONCE


def turned(session: AsyncSession, schedule: Schedule, clock: datetime, change: Change | None = None) -> Turn:
    """Let time pass, then change the schedule; what was changed by more than time is kept as a version."""
    now = schedule.moment(clock)
    present = schedule.at(now)
    after = present if change is None else change(present, now)
    if after != present:
        after = stamp(after)
        note(session, present, after)
    return Turn(schedule, after, now)


async def carry_out(session: AsyncSession, book: Book, turns: Sequence[Turn]) -> None:
    """Write what differs, and tell what is in force now that was not before."""
    await save_turns(session, book, turns)
    begun = [turn.after for turn in turns if turn.after.in_force != turn.before.in_force]
    if book is COSTS:
        await _set_costs(session, begun)
        return
    for turn in turns:
        await _tell(session, turn)
    await retag_priced(session, [each.id for each in begun])


def _refuse_unfit(book: Book, amounts: Amounts) -> None:
    if amounts.is_unknown:
        raise PriceUnknownError
    if book is CHARGES and amounts.is_dynamic:
        raise DynamicChargeError


async def _turn(session: AsyncSession, book: Book, owner_id: UUID, change: Change) -> Schedule:
    schedule = (await store.schedules_of(session, book, [owner_id]))[owner_id]
    expect(session, schedule)
    turn = turned(session, schedule, datetime.now(UTC), change)
    await carry_out(session, book, [turn])
    return turn.after


async def _tell(session: AsyncSession, turn: Turn) -> None:
    before, after = turn.before.in_force, turn.after.in_force
    if after is None and before is not None:
        await outbox.record(session, PriceChanged.gone(turn.after.id))
    elif after is not None and after != before:
        await outbox.record(session, PriceChanged.to(price_record(Charge(turn.after.id, after))))


async def _set_costs(session: AsyncSession, schedules: Sequence[Schedule]) -> None:
    """Let sources cost what is in force; those that were deleted cost nothing any more."""
    held = {source.id: source for source in await sources.sources_by_id(session, [each.id for each in schedules])}
    changed: list[Source] = []
    for schedule in schedules:
        source = held.get(schedule.id)
        if source is not None and (after := costing(source, schedule)) != source:
            changed.append(stamp(after))
            note(session, source, changed[-1])
    await sources.save_sources(session, changed)
    await settle(session, {each.model_id for each in changed}, changed_sources=[each.id for each in changed])


async def _hold_living(session: AsyncSession, book: Book, owner_id: UUID) -> None:
    await _hold_models(session, book, [owner_id])
    try:
        await (models.get_model if book is CHARGES else sources.get_source)(session, owner_id)
    except NotFoundError as error:
        noun = "model" if book is CHARGES else "source"
        raise DanglingReferenceError(f"{noun}_id", noun, owner_id) from error


async def _hold_owner(session: AsyncSession, price_id: UUID) -> tuple[Book, UUID]:
    book, owner_id = await store.find_owner(session, price_id)
    await _hold_models(session, book, [owner_id])
    return book, owner_id


async def _hold_models(session: AsyncSession, book: Book, owner_ids: Collection[UUID]) -> None:
    """Hold the models, which stand for their sources too."""
    held: set[UUID] = set()
    needed = set(owner_ids)
    while True:
        if book is COSTS:
            # A listing may have moved a source to another model while we waited for the one before.
            needed = set((await references.served_by(session, owner_ids)).values())
        if needed <= held:
            return
        await models.lock_models(session, needed)
        held |= needed
