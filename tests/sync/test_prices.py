"""Prices: every digit arrives, and what is no price is unknown."""

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.contracts.records import CostPrices
from modelbus.sync.domain.prices import per_million, per_piece, read_amount

amounts = st.decimals(min_value=0, max_value=999, allow_nan=False, allow_infinity=False, places=24)


@given(amounts)
def test_a_price_per_token_times_a_million_loses_no_digit(amount: Decimal) -> None:
    price = per_million(read_amount(f"{amount:f}"))

    assert price is not None
    assert Fraction(price) == Fraction(amount) * 1_000_000


@given(amounts)
def test_the_caller_s_decimal_context_changes_nothing(amount: Decimal) -> None:
    with localcontext() as coarse:
        coarse.prec = 2
        price = per_million(read_amount(f"{amount:f}"))

    assert price is not None
    assert Fraction(price) == Fraction(amount) * 1_000_000


@given(amounts, st.integers(0, 5))
def test_equal_numbers_have_one_notation(amount: Decimal, zeros: int) -> None:
    longer = f"{amount:f}" + "0" * zeros

    assert str(per_million(read_amount(longer))) == str(per_million(read_amount(f"{amount:f}")))
    assert "E+" not in str(per_million(read_amount(longer)))


@given(st.text(max_size=60))
def test_any_text_is_a_finite_amount_or_unknown(text: str) -> None:
    amount = read_amount(text)

    assert amount is None or amount.is_finite()


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e-3))
def test_a_json_number_counts_by_its_digits(number: float) -> None:
    assert read_amount(Decimal(repr(number))) in {Decimal(repr(number)), None}


@pytest.mark.parametrize(
    ("given_price", "expected"),
    [
        ("0.0000045", "4.5"),
        ("0.00001", "10"),
        ("0", "0"),
        ("-0.0", "0"),
        ("1e-6", "1"),
        (".000002", "2"),
        (" 0.000003 ", "3"),
        (Decimal("0.0000015"), "1.5"),
        (0, "0"),
    ],
)
def test_usd_per_token_becomes_usd_per_million(given_price: object, expected: str) -> None:
    assert str(per_million(read_amount(given_price))) == expected


@pytest.mark.parametrize(
    "nonsense",
    [
        *("", " ", "free", "$0.01", "0,01", "1_000", "NaN", "Infinity", "-inf", "1e999", "٣", "0x10", "1 2", "9" * 40),
        *(None, True, 1.5, [], {}, Decimal("NaN"), Decimal("Infinity")),
    ],
)
def test_what_is_no_price_is_unknown(nonsense: object) -> None:
    assert read_amount(nonsense) is None


def test_a_price_beyond_reason_is_unknown() -> None:
    assert read_amount("1000000001") is None
    assert per_piece(read_amount("0.0048")) == Decimal("0.0048")
    assert str(per_piece(read_amount("0.00480"))) == "0.0048"


def test_a_negative_amount_is_read_as_one() -> None:
    assert read_amount("-1") == Decimal(-1)


@pytest.mark.parametrize("given_price", ["1000", "999999999", "1000000000"])
def test_every_price_that_is_read_is_one_that_can_be_told(given_price: str) -> None:
    CostPrices(input=per_million(read_amount(given_price)), request=per_piece(read_amount(given_price)))
