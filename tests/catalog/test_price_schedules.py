"""Schedules as pure rules, held against a calendar of cells that a child could paint."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, pairwise
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.catalog.actions.versions import document
from modelbus.catalog.domain.price_errors import (
    PriceBegunError,
    PriceInPastError,
    PriceNotBegunError,
    PriceOverError,
    PriceOverlapError,
    PricePeriodEmptyError,
    ScheduleFullError,
)
from modelbus.catalog.domain.prices import INSTANT, MOST_LIVING, Amounts, Period, Schedule
from modelbus.catalog.domain.sources import Origin

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 24
_ids = count(1)


def new_id() -> UUID:
    return UUID(int=next(_ids))


def day(number: float) -> datetime:
    return EPOCH + timedelta(days=number)


def costing(amount: int | None) -> Amounts:
    return Amounts(input=None if amount is None else Decimal(amount))


def a_price(amount: int, begins: float, ends: float | None = None, origin: str = Origin.ADMINISTRATOR) -> Period:
    until = None if ends is None else day(ends)
    return Period(new_id(), day(begins), until, is_open=ends is None, amounts=costing(amount), origin=origin)


def empty() -> Schedule:
    return Schedule(id=UUID(int=0), model_id=UUID(int=0), source_id=None)


def painted(schedule: Schedule) -> list[int | None]:
    """What is charged at noon of each day."""
    return [
        next((int(each.amounts.input or 0) for each in schedule.periods if each.is_at(day(number + 0.5))), None)
        for number in range(DAYS)
    ]


def scheduled(*prices: Period, now: float = 0) -> Schedule:
    schedule = empty()
    for price in prices:
        schedule = schedule.set(price, day(now), new_id)
    return schedule


@dataclass(frozen=True)
class Cell:
    amount: int
    begins: int
    is_open: bool


class Calendar:
    """The model: one cell a day, painted over where that is allowed."""

    def __init__(self) -> None:
        self.cells: list[Cell | None] = [None] * DAYS

    def set(self, amount: int, begins: int, ends: int | None) -> bool:
        wanted = range(begins, DAYS if ends is None else ends)
        before = self.cells[begins]
        is_yielding = before is not None and before.is_open and before.begins < begins
        if any(self.cells[each] not in {None, before if is_yielding else None} for each in wanted):
            return False
        goes_on = ends is not None and ends < DAYS and is_yielding and self.cells[ends] == before
        is_same = is_yielding and before is not None and before.amount == amount
        is_whole = not goes_on and (ends is None or ends >= DAYS or self.cells[ends] != before)
        if is_same and is_whole:
            return True
        for each in wanted:
            self.cells[each] = Cell(amount, begins, ends is None)
        if goes_on and ends is not None:
            for each in range(ends, DAYS):
                if self.cells[each] == before:
                    self.cells[each] = Cell(before.amount, ends, is_open=True) if before else None
        return True

    @property
    def amounts(self) -> list[int | None]:
        return [None if cell is None else cell.amount for cell in self.cells]


def assert_sound(schedule: Schedule) -> None:
    for period in schedule.periods:
        assert period.ends is None or period.begins < period.ends
    for earlier, later in pairwise(schedule.periods):
        assert earlier.ends is not None
        assert earlier.ends <= later.begins
    assert len({period.id for period in schedule.periods}) == len(schedule.periods)


wishes = st.tuples(st.integers(1, 3), st.integers(0, DAYS - 2), st.none() | st.integers(1, 8))


@given(st.lists(wishes, max_size=12))
def test_prices_that_are_set_are_what_a_painted_calendar_shows(wanted: list[tuple[int, int, int | None]]) -> None:
    schedule, calendar = empty(), Calendar()

    for amount, begins, length in wanted:
        ends = None if length is None else min(begins + length, DAYS - 1)
        is_allowed = calendar.set(amount, begins, ends)
        try:
            schedule = schedule.set(a_price(amount, begins, ends), day(0), new_id)
        except PriceOverlapError:
            assert not is_allowed
        else:
            assert is_allowed

        assert painted(schedule) == calendar.amounts
        assert_sound(schedule)


steps = st.one_of(
    st.builds(lambda *told: ("set", told), st.integers(1, 3), st.integers(0, 9), st.none() | st.integers(1, 6)),
    st.builds(lambda *told: ("follow", told), st.none() | st.integers(1, 3)),
    st.builds(lambda *told: ("withdraw", told), st.integers(0, 3)),
    st.builds(lambda *told: ("change", told), st.integers(0, 3), st.integers(0, 9), st.none() | st.integers(1, 6)),
    st.builds(lambda *told: ("end", told), st.integers(0, 3)),
    st.builds(lambda *told: ("restore", told), st.integers(0, 30)),
)
REFUSALS = (
    PriceBegunError,
    PriceInPastError,
    PriceNotBegunError,
    PriceOverError,
    PriceOverlapError,
    PricePeriodEmptyError,
)


def taken(schedule: Schedule, step: tuple[str, Any], today: int, earlier: list[Schedule]) -> Schedule:
    verb, told = step
    now = schedule.moment(day(today))
    nth = schedule.periods[told[0]].id if verb != "follow" and told[0] < len(schedule.periods) else uuid4()
    if verb == "set":
        ends = None if told[2] is None else today + told[1] + told[2]
        wanted = a_price(told[0], today + told[1], ends)
        return schedule.set(replace(wanted, begins=max(now, wanted.begins)), now, new_id)
    if verb == "follow":
        return schedule.follow(costing(told[0]), now, new_id)
    if verb == "withdraw":
        return schedule.withdraw(nth, now)
    if verb == "change":
        ends = None if told[2] is None else day(today + told[1] + told[2])
        return schedule.change(nth, {"begins": day(today + told[1]), "ends": ends}, now, new_id)
    if verb == "end":
        return schedule.end(nth, now)
    return schedule.restored(earlier[told[0] % len(earlier)].periods, now, new_id)


@given(st.lists(st.tuples(steps, st.integers(0, 3)), max_size=20))
def test_whatever_is_done_nothing_overlaps_and_the_past_stays(walk: list[tuple[tuple[str, Any], int]]) -> None:
    schedule, today, earlier = empty(), 0, [empty()]
    # What was charged at each noon, written down when it was that noon.
    diary: dict[int, int | None] = {}
    kept: dict[UUID, Period] = {}

    for step, pause in walk:
        schedule = schedule.at(schedule.moment(day(today)))
        with suppress(*REFUSALS):
            schedule = taken(schedule, step, today, earlier)
        assert_sound(schedule)
        earlier.append(schedule)
        # As the tables keep it: a row is written anew, or stays; what had begun is never withdrawn.
        kept = {key: each for key, each in kept.items() if each.begins < day(today)}
        kept |= {each.id: each for each in schedule.periods}
        for each in range(today, today + pause):
            found = [period for period in schedule.periods if period.is_at(day(each + 0.5))]
            diary[each] = None if not found else int(found[0].amounts.input or 0)
        today += pause

    for number, amount in diary.items():
        found = [period for period in kept.values() if period.is_at(day(number + 0.5))]
        assert [int(each.amounts.input or 0) for each in found] == ([] if amount is None else [amount])


@given(st.lists(wishes, min_size=1, max_size=6), st.lists(wishes, max_size=6), st.integers(0, 10))
def test_going_back_says_from_now_on_what_was_said_then(
    first: list[tuple[int, int, int | None]], second: list[tuple[int, int, int | None]], today: int
) -> None:
    def wished(schedule: Schedule, wanted: list[tuple[int, int, int | None]]) -> Schedule:
        for amount, begins, length in wanted:
            ends = None if length is None else begins + length
            try:
                schedule = schedule.set(a_price(amount, begins, ends), day(0), new_id)
            except PriceOverlapError:
                continue
        return schedule

    then = wished(empty(), first)
    present = wished(empty(), second)
    now = present.at(day(today)).moment(day(today))
    present = present.at(now)
    kept = msgspec.convert(msgspec.json.decode(msgspec.json.encode(document(then)))["periods"], list[Period])

    back = present.restored(kept, now, new_id)

    assert painted(back)[today:] == painted(then)[today:]
    assert_sound(back)


def test_an_open_price_makes_way_and_goes_on_afterwards() -> None:
    schedule = scheduled(a_price(1, 0), a_price(2, 5, 8))

    assert painted(schedule) == [1] * 5 + [2] * 3 + [1] * (DAYS - 8)


def test_what_is_taken_back_leaves_no_trace() -> None:
    for ends in (8, None):
        before = scheduled(a_price(1, 0))
        between = a_price(2, 5, ends)

        back = before.set(between, day(0), new_id).withdraw(between.id, day(1))

        assert back == replace(before, in_force_id=before.periods[0].id)


def test_an_end_that_was_given_does_not_make_way() -> None:
    schedule = scheduled(a_price(1, 0, 10))

    with pytest.raises(PriceOverlapError) as refused:
        schedule.set(a_price(2, 5), day(0), new_id)

    assert refused.value.findings[0]["id"] == str(schedule.periods[0].id)


def test_the_price_in_force_changes_only_its_end() -> None:
    schedule = scheduled(a_price(1, 0)).at(day(3))
    [present] = schedule.periods

    ended = schedule.change(present.id, {"ends": day(9)}, day(3), new_id)

    assert painted(ended) == [1] * 9 + [None] * (DAYS - 9)
    assert painted(ended.change(present.id, {"ends": None}, day(3), new_id)) == [1] * DAYS
    for fields in ({"begins": day(4)}, {"amounts": costing(2)}):
        with pytest.raises(PriceBegunError):
            schedule.change(present.id, fields, day(3), new_id)
    with pytest.raises(PriceInPastError):
        schedule.change(present.id, {"ends": day(2)}, day(3), new_id)
    with pytest.raises(PriceBegunError):
        schedule.withdraw(present.id, day(3))


def test_what_is_over_or_to_come_can_not_end_now() -> None:
    past, coming = a_price(1, 0, 2), a_price(2, 5)
    schedule = scheduled(past, coming).at(day(3))

    with pytest.raises(PriceOverError):
        schedule.end(past.id, day(3))
    with pytest.raises(PriceNotBegunError):
        schedule.end(coming.id, day(3))


def test_a_price_of_the_past_or_of_no_time_is_refused() -> None:
    with pytest.raises(PriceInPastError):
        empty().set(a_price(1, 2), day(3), new_id)
    with pytest.raises(PricePeriodEmptyError):
        empty().set(a_price(1, 5, 5), day(3), new_id)


def test_a_listing_follows_itself_but_no_administrator() -> None:
    listed = empty().follow(costing(1), day(0), new_id)
    same = listed.at(day(1)).follow(costing(1), day(1), new_id)
    retold = listed.at(day(2)).follow(costing(2), day(2), new_id)
    by_hand = retold.at(day(3)).set(a_price(3, 3), day(3), new_id).at(day(4))

    assert same == listed
    assert painted(retold) == [1, 1] + [2] * (DAYS - 2)
    assert by_hand.follow(costing(4), day(4), new_id) == by_hand
    assert painted(retold.at(day(3)).follow(costing(None), day(3), new_id))[3:] == [None] * (DAYS - 3)


def test_a_listing_keeps_out_of_what_an_administrator_has_set_for_later() -> None:
    schedule = empty().follow(costing(1), day(0), new_id).set(a_price(3, 6), day(0), new_id)

    retold = schedule.at(day(2)).follow(costing(2), day(2), new_id)

    assert painted(retold) == [1] * 2 + [2] * 4 + [3] * (DAYS - 6)


def test_a_clock_that_is_behind_never_ends_a_price_before_it_began() -> None:
    schedule = scheduled(a_price(1, 5), now=5).at(day(5))

    now = schedule.moment(day(4))

    assert now == day(5) + INSTANT
    assert_sound(schedule.at(now).set(replace(a_price(2, 0), begins=now), now, new_id))


def test_no_more_prices_wait_than_a_version_should_hold() -> None:
    schedule = scheduled(*(a_price(number, number) for number in range(MOST_LIVING)))

    with pytest.raises(ScheduleFullError):
        schedule.set(a_price(1, MOST_LIVING + 5), day(0), new_id)
