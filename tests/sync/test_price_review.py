"""Prices in doubt: units that are taken for others, jumps, and what is neither."""

import json
from decimal import Decimal
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import HeldPrices, ListedModel
from modelbus.sync.actions.prices import Known, accept, amounts_of, review_prices
from modelbus.sync.clients.costs import UNIT_NOT_TOLD
from modelbus.sync.clients.flavours import openrouter
from modelbus.sync.domain.price_review import unit_shift, why_jump, why_unlike_others
from modelbus.sync.domain.prices import Unit, moved

FACTOR = 100.0
PRICES = {"a": ("3", "15"), "b": ("0.15", "0.6"), "c": ("0.02", "0.02"), "d": ("0", "0")}


def amounts(price_in: str, price_out: str) -> dict[str, Decimal]:
    return {"input": Decimal(price_in), "output": Decimal(price_out)}


KNOWN = {name: amounts(*prices) for name, prices in PRICES.items()}


def cost(*prices: str, places: int = 0) -> CostPrices:
    told = {name: moved(amount, places) for name, amount in amounts(*prices).items()}
    return CostPrices.model_validate(told)


def listing(places: int = 0) -> list[ListedModel]:
    return [ListedModel(upstream_name=name, cost=cost(*prices, places=places)) for name, prices in PRICES.items()]


def before() -> Known:
    return Known(before={name: cost(*prices) for name, prices in PRICES.items()})


def review_one(listed: CostPrices, known: Known) -> ListedModel:
    [model] = review_prices([ListedModel(upstream_name="a", cost=listed)], known, FACTOR)
    return model


def recording(date: str) -> list[ListedModel]:
    file = resources.files("modelbus.simulator") / "recordings" / f"openrouter_models_{date}.json"
    return openrouter.read_listing(json.loads(file.read_bytes())).models


@pytest.mark.parametrize("shift", [-6, -3, 0, 3, 6])
def test_the_unit_is_told_by_what_the_same_models_cost(shift: int) -> None:
    listed = {name: {price: amount.scaleb(-shift) for price, amount in each.items()} for name, each in KNOWN.items()}

    assert unit_shift(listed, KNOWN) == shift


@given(st.lists(st.floats(0.2, 5), min_size=6, max_size=6), st.sampled_from([-6, -3, 0, 3, 6]))
def test_suppliers_that_are_dearer_or_cheaper_do_not_hide_the_unit(factors: list[float], shift: int) -> None:
    several = iter(factors)
    listed = {
        name: {price: amount.scaleb(-shift) * Decimal(next(several)) for price, amount in KNOWN[name].items()}
        for name in "abc"
    }

    assert unit_shift(listed, KNOWN) == shift


@pytest.mark.parametrize(
    "listed",
    [
        {},
        {"x": amounts("3", "15")},
        {"d": amounts("3", "15")},
        {"a": amounts("0", "0")},
        {"a": {"input": Decimal(3)}},
        {"a": amounts("3", "15"), "b": amounts("0.00015", "0.0006")},
        {"a": amounts("100", "500"), "b": amounts("4.5", "18")},
        {"a": amounts("3000", "15000")},
    ],
)
def test_too_little_or_no_agreement_tells_no_unit(listed: dict[str, Any]) -> None:
    assert unit_shift(listed, KNOWN) is None


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (amounts("301", "15"), "input was 3 and is 301 now, more than 100 times more"),
        (amounts("3", "0.14"), "output was 15 and is 0.14 now, more than 100 times less"),
        (amounts("0", "15"), "input was 3 and is nothing now"),
        (amounts("300", "0.15"), None),
        ({}, None),
    ],
)
def test_a_price_that_jumps_says_from_where_to_where(listed: dict[str, Decimal], reason: str | None) -> None:
    assert why_jump(KNOWN["a"], listed, FACTOR) == reason


def test_from_nothing_to_a_price_is_no_jump() -> None:
    assert why_jump(KNOWN["d"], amounts("900", "900"), FACTOR) is None


def test_a_model_may_be_free_here_that_costs_elsewhere() -> None:
    assert why_unlike_others(KNOWN["a"], amounts("0", "0"), FACTOR) is None
    assert why_unlike_others(KNOWN["a"], amounts("301", "15"), FACTOR) == (
        "input is 301 and 3 elsewhere, more than 100 times less"
    )


def test_ordinary_changes_pass() -> None:
    changed = [ListedModel(upstream_name="a", cost=cost("9", "1")), *listing()[1:]]

    assert review_prices(changed, before(), FACTOR) == changed


def test_no_change_between_the_real_recordings_is_held() -> None:
    known = Known(before={model.upstream_name: model.cost for model in recording("2024-11-10")})
    later = recording("2025-04-23")

    assert review_prices(later, known, FACTOR) == later


@pytest.mark.parametrize("places", [-6, -3, 3, 6])
def test_a_real_listing_in_another_unit_is_held_whole(places: int) -> None:
    earlier = recording("2024-11-10")
    known = Known(before={model.upstream_name: model.cost for model in earlier})
    lying = [
        accept(model.model_copy(update={"held": HeldPrices(listed=model.cost, reason="")}), places) for model in earlier
    ]

    reviewed = review_prices(lying, known, FACTOR)

    assert [model.cost for model in reviewed] == [model.cost for model in earlier]
    paid = [model for model in earlier if any(model.cost.model_dump(include={"input", "output"}).values())]
    assert sum(model.held is not None for model in reviewed) == len(paid)


def test_one_model_is_enough_where_no_unit_is_told() -> None:
    assert unit_shift({"a": amounts("0.003", "0.015")}, KNOWN, models=1) == 3


def test_a_listing_per_thousand_tokens_is_held_and_says_so() -> None:
    reviewed = review_prices(listing(places=-3), before(), FACTOR)

    assert [model.cost for model in reviewed] == [model.cost for model in listing()]
    assert reviewed[0].held == HeldPrices(
        listed=cost("0.003", "0.015"),
        reason="the prices of the whole listing look as if they were per thousand tokens, "
        "beside those known of the same models",
    )
    assert reviewed[3].held is None


def test_what_costs_what_it_did_or_nothing_is_not_held_with_the_others() -> None:
    lying = listing(places=-3)
    lying[0] = listing()[0]
    others = [ListedModel(upstream_name=f"m{n}", cost=cost("0.003", "0.015")) for n in range(20)]
    known = Known(
        before={"a": cost(*PRICES["a"])},
        elsewhere={**KNOWN, **{model.upstream_name: amounts("3", "15") for model in others}},
    )

    reviewed = review_prices([*lying, *others], known, FACTOR)

    assert [model.upstream_name for model in reviewed if model.held is None] == ["a", "d"]


def test_prices_per_piece_say_nothing_of_the_unit_of_tokens() -> None:
    listed = {name: {"image": Decimal("0.04")} for name in "ab"}
    elsewhere = {name: {"image": Decimal(40)} for name in "ab"}

    assert unit_shift(listed, elsewhere) is None


def test_what_is_held_stays_held_by_the_same_listing() -> None:
    once = review_prices(listing(places=-3), before(), FACTOR)
    known = Known(before={model.upstream_name: model.cost for model in once})

    assert review_prices(listing(places=-3), known, FACTOR) == once


def test_what_was_never_believed_is_not_believed_by_being_listed_again() -> None:
    once = review_prices(listing(places=-6), Known(elsewhere=KNOWN), FACTOR)
    known = Known(before={model.upstream_name: model.cost for model in once}, elsewhere=KNOWN)

    assert review_prices(listing(places=-6), known, FACTOR) == once
    assert review_prices(listing(places=-6)[:1], known, FACTOR)[0].cost == CostPrices()


def test_prices_of_another_supplier_show_the_unit_of_a_first_listing() -> None:
    reviewed = review_prices(listing(places=-6), Known(elsewhere=KNOWN), FACTOR)

    assert [model.cost for model in reviewed[:3]] == [CostPrices()] * 3
    assert "per token" in str(reviewed[0].held)


def test_a_first_listing_of_models_that_nobody_knows_is_believed() -> None:
    assert review_prices(listing(), Known(), FACTOR) == listing()


def test_a_new_model_that_is_unlike_itself_elsewhere_is_held_without_a_price() -> None:
    model = review_one(cost("400", "15"), Known(elsewhere=KNOWN))

    assert model.cost == CostPrices()
    assert model.held is not None
    assert model.held.listed == cost("400", "15")


def test_the_own_price_before_counts_more_than_those_elsewhere() -> None:
    known = Known(before={"a": cost("400", "15")}, elsewhere=KNOWN)

    assert review_one(cost("410", "15"), known).held is None


@pytest.mark.parametrize("listed", [CostPrices(), CostPrices(is_dynamic=True)])
def test_unknown_and_dynamic_are_no_jumps(listed: CostPrices) -> None:
    assert review_one(listed, before()) == ListedModel(upstream_name="a", cost=listed)


def test_dynamic_before_is_nothing_to_jump_from() -> None:
    known = Known(before={"a": CostPrices(is_dynamic=True)})

    assert review_one(cost("900", "900"), known).held is None


def without_unit(places: int) -> list[ListedModel]:
    return [
        ListedModel(upstream_name=name, held=HeldPrices(listed=cost(*prices, places=places), reason=UNIT_NOT_TOLD))
        for name, prices in PRICES.items()
        if name != "d"
    ]


@pytest.mark.parametrize("places", [0, -3, -6])
def test_a_unit_that_is_not_told_is_found_by_what_others_cost(places: int) -> None:
    reviewed = review_prices(without_unit(places), Known(elsewhere=KNOWN), FACTOR)

    assert reviewed == listing()[:3]


def test_the_unit_of_a_single_model_is_found() -> None:
    assert review_prices(without_unit(-3)[:1], Known(elsewhere=KNOWN), FACTOR) == listing()[:1]


def test_a_unit_that_can_not_be_found_waits_with_what_was_known() -> None:
    one_price = CostPrices(input=Decimal(1))

    first, second, third = review_prices(without_unit(0), Known(before={"b": one_price}), FACTOR)

    assert (first.cost, second.cost, third.cost) == (CostPrices(), one_price, CostPrices())
    assert {model.held.reason for model in (first, second, third) if model.held} == {UNIT_NOT_TOLD}


def test_a_price_whose_unit_is_found_may_still_have_jumped() -> None:
    jumped = without_unit(-3)
    jumped[0] = jumped[0].model_copy(
        update={"held": HeldPrices(listed=cost("0.003", "9000", places=0), reason=UNIT_NOT_TOLD)}
    )

    model = review_prices(jumped, before(), FACTOR)[0]

    assert model.cost == cost("3", "15")
    assert model.held is not None
    assert model.held.listed == cost("3", "9000000")


def test_what_is_taken_is_taken_in_the_unit_that_is_named() -> None:
    held = HeldPrices(listed=CostPrices(input=Decimal("0.003"), image=Decimal("0.04")), reason="")
    model = ListedModel(upstream_name="a", held=held)

    taken = accept(model, Unit.PER_THOUSAND)

    assert (taken.cost, taken.held) == (CostPrices(input=Decimal(3), image=Decimal("0.04")), None)
    assert accept(taken) == taken


def test_what_is_unknown_has_no_amount_and_what_is_free_has_zero() -> None:
    assert amounts_of(CostPrices(input=Decimal(0))) == {"input": Decimal(0)}
    assert amounts_of(CostPrices(input=Decimal(1), is_dynamic=True)) == {}
