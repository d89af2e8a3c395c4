"""Margins and adjustments as pure rules: nothing is lost to binary fractions, and rounding keeps its word."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.catalog.domain.margins import NO_MARGIN, Basis, Blend, margin_of
from modelbus.catalog.domain.price_adjustments import (
    DEAREST,
    Adjustment,
    ByPercent,
    Mode,
    NotAdjustableError,
    Rounding,
    Skipped,
    ToAmounts,
    ToMargin,
)
from modelbus.catalog.domain.prices import UNITS, Amounts, plain

amounts = st.decimals(0, 9_000, places=9).map(plain)
prices = st.builds(Amounts, **dict.fromkeys(UNITS, st.none() | amounts))
steps = st.sampled_from(["0.000001", "0.01", "0.05", "0.03", "0.25", "1", "7"]).map(Decimal)
roundings = st.builds(Rounding, st.sampled_from(Mode), steps)


def exact(amount: Decimal | None) -> Fraction:
    assert amount is not None
    return Fraction(amount)


def applied(
    adjustment: Adjustment, charge: Amounts | None, cost: Amounts | None
) -> tuple[Amounts | None, Skipped | None]:
    try:
        return adjustment.apply(charge, cost), None
    except NotAdjustableError as error:
        return None, error.reason


@given(prices, prices)
def test_a_margin_is_exactly_the_charge_less_the_cost(charge: Amounts, cost: Amounts) -> None:
    margin = margin_of(charge, cost)

    for unit in UNITS:
        left = getattr(margin, unit)
        if unit not in charge.known or unit not in cost.known:
            assert left is None
            continue
        assert exact(left.amount) == exact(charge.known[unit]) - exact(cost.known[unit])
        assert (left.percent is None) == (charge.known[unit] == 0)
        if left.percent is not None:
            share = exact(left.amount) * 100 / exact(charge.known[unit])
            assert abs(exact(left.percent) - share) <= Fraction(1, 20_000)
    known = charge.known.keys() & cost.known.keys()
    assert margin.is_negative == any(charge.known[unit] < cost.known[unit] for unit in known)


@given(amounts, amounts, amounts, amounts, st.integers(0, 9), st.integers(1, 9))
def test_a_blended_margin_weighs_input_and_output(
    taken: Decimal, given_: Decimal, cost_in: Decimal, cost_out: Decimal, share_in: int, share_out: int
) -> None:
    blend = Blend(Decimal(share_in), Decimal(share_out))

    left = margin_of(Amounts(taken, given_), Amounts(cost_in, cost_out), blend).blended

    assert left is not None
    weighed = (exact(taken) - exact(cost_in)) * share_in + (exact(given_) - exact(cost_out)) * share_out
    assert abs(exact(left.amount) - weighed / (share_in + share_out)) <= Fraction(1, 10**9)


def test_three_of_input_to_one_of_output_unless_said_otherwise() -> None:
    left = margin_of(Amounts(Decimal(4), Decimal(20)), Amounts(Decimal(2), Decimal(10)))

    assert left.blended is not None
    assert (left.blended.amount, left.blended.percent) == (Decimal(4), Decimal(50))


def test_what_has_no_output_is_blended_by_its_input_alone() -> None:
    embedding = margin_of(Amounts(Decimal(4)), Amounts(Decimal(3)))
    one_sided = margin_of(Amounts(Decimal(4)), Amounts(Decimal(3), Decimal(9)))

    assert embedding.blended is not None
    assert embedding.blended.amount == 1
    assert one_sided.blended is None


def test_nothing_is_left_of_what_nobody_knows() -> None:
    known, dynamic = Amounts(Decimal(1)), Amounts(Decimal(1), is_dynamic=True)

    assert margin_of(None, known) == margin_of(known, None) == margin_of(known, dynamic) == NO_MARGIN
    free = margin_of(Amounts(Decimal(0)), Amounts(Decimal(1)))
    assert free.is_negative
    assert free.input is not None
    assert free.input.percent is None


@given(amounts, roundings)
def test_rounding_goes_to_a_multiple_the_way_that_was_asked(amount: Decimal, rounding: Rounding) -> None:
    rounded = exact(rounding.apply(amount))
    step, off = exact(rounding.to), rounded - exact(amount)

    assert (rounded / step).denominator == 1
    if rounding.mode == Mode.UP:
        assert 0 <= off < step
    elif rounding.mode == Mode.DOWN:
        assert 0 <= -off < step
    else:
        assert abs(off) <= step / 2
        assert abs(off) != step / 2 or (rounded / step) % 2 == 0


@given(prices, st.decimals(-100, 1000, places=6), roundings)
def test_by_percent_is_the_rounded_product_or_says_why_not(
    charge: Amounts, percent: Decimal, rounding: Rounding
) -> None:
    adjustment = Adjustment(ByPercent(percent), rounding=rounding)
    raw = {unit: exact(amount) * (100 + exact(percent)) / 100 for unit, amount in charge.known.items()}
    after, refused = applied(adjustment, charge, None)
    if after is None:
        rounded_away = any(amount > 0 and amount < exact(rounding.to) for amount in raw.values())
        too_dear = any(amount + exact(rounding.to) > DEAREST[unit] for unit, amount in raw.items())
        reasons = {Skipped.NO_PRICE: not raw, Skipped.ROUNDS_TO_ZERO: rounded_away, Skipped.TOO_DEAR: too_dear}
        assert refused is not None
        assert reasons[refused]
        return
    assert after.known.keys() == raw.keys()
    for unit, amount in after.known.items():
        assert abs(exact(amount) - raw[unit]) < exact(rounding.to)
        assert amount <= DEAREST[unit]


@given(prices, st.decimals(-1000, 99, places=6), steps)
def test_rounded_up_the_margin_that_was_asked_for_is_reached(cost: Amounts, percent: Decimal, to: Decimal) -> None:
    adjustment = Adjustment(ToMargin(percent, Basis.CHEAPEST), rounding=Rounding(Mode.UP, to))
    charge, refused = applied(adjustment, None, cost)
    if charge is None:
        assert refused in {Skipped.COST_UNKNOWN, Skipped.TOO_DEAR}
        return
    assert charge.known.keys() == cost.known.keys()
    for unit, amount in charge.known.items():
        assert (exact(amount) - exact(cost.known[unit])) * 100 >= exact(amount) * exact(percent)


def test_only_the_named_units_are_adjusted_and_the_others_stay() -> None:
    charge = Amounts(Decimal(1), Decimal(2), image=Decimal(3))

    assert Adjustment(ByPercent(Decimal(50)), ("output",)).apply(charge, None) == Amounts(
        Decimal(1), Decimal(3), image=Decimal(3)
    )
    assert Adjustment(ToAmounts(Amounts(image=Decimal(9)))).apply(charge, None) == Amounts(
        Decimal(1), Decimal(2), image=Decimal(9)
    )


@pytest.mark.parametrize(
    ("by", "charge", "cost", "reason"),
    [
        (ByPercent(Decimal(1)), None, None, Skipped.NO_PRICE),
        (ToMargin(Decimal(20), Basis.CHEAPEST), None, None, Skipped.NO_SOURCE),
        (ToMargin(Decimal(20), Basis.CHEAPEST), None, Amounts(is_dynamic=True), Skipped.COST_DYNAMIC),
        (ToMargin(Decimal(20), Basis.CHEAPEST), Amounts(Decimal(1)), Amounts(), Skipped.COST_UNKNOWN),
        (ByPercent(Decimal(900)), Amounts(Decimal(9_000)), None, Skipped.TOO_DEAR),
        (ByPercent(Decimal("-99.999999")), Amounts(Decimal("0.000001")), None, Skipped.ROUNDS_TO_ZERO),
    ],
)
def test_what_can_not_be_adjusted_says_why(
    by: ByPercent | ToMargin, charge: Amounts | None, cost: Amounts | None, reason: Skipped
) -> None:
    with pytest.raises(NotAdjustableError) as refused:
        Adjustment(by).apply(charge, cost)

    assert refused.value.reason == reason


def test_equal_prices_are_written_alike() -> None:
    assert [str(plain(Decimal(text))) for text in ("1E+1", "10.00", "0.50", "-0", "0E-9")] == [
        "10",
        "10",
        "0.5",
        "0",
        "0",
    ]
