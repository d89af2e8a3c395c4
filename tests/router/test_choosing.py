"""Choosing: names, steps, permissions and availability; and the turn of credentials."""

from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest

from modelbus.contracts import records
from modelbus.router.balance.choosing import next_credential
from modelbus.router.balance.standings import Standings
from modelbus.router.cache.records import AccessKey
from modelbus.router.domain.errors import ModelNotFoundError, ModelNotPermittedError, ModelUnavailableError
from router.picking import chosen, in_turn
from router.seeding import Seed


@pytest.fixture
def seed() -> Seed:
    return Seed()


@pytest.fixture
def acme(seed: Seed) -> records.SupplierRecord:
    return seed.supplier("acme")


def test_sources_come_by_priority(seed: Seed, acme: records.SupplierRecord) -> None:
    model = seed.model("m")
    for priority in (3, 1, 2):
        seed.source(model, acme, f"p{priority}", priority=priority)

    assert in_turn(seed, "m") == ["p1", "p2", "p3"]


def test_equal_sources_come_by_weight_and_the_weightless_last(seed: Seed, acme: records.SupplierRecord) -> None:
    model = seed.model("m")
    for name, weight in (("none", 0), ("light", 1), ("heavy", 9)):
        seed.source(model, acme, name, weight=weight)

    turns = [in_turn(seed, "m", seed=chance) for chance in range(300)]

    heavy_first = sum(turn[0] == "heavy" for turn in turns)
    assert 240 <= heavy_first < 300
    assert all(turn[-1] == "none" for turn in turns)


@pytest.mark.parametrize(
    ("supplier", "source", "reason"),
    [
        ({}, {"is_available": False, "reason": "delisted"}, "delisted"),
        ({"is_active": False}, {}, "supplier_disabled"),
        ({"protocol": "gemini"}, {}, "speaks 'gemini'"),
    ],
)
def test_what_can_not_serve_is_left_out_and_the_reason_told(
    seed: Seed, supplier: dict[str, Any], source: dict[str, Any], reason: str
) -> None:
    seed.source(seed.model("m"), seed.supplier("other", **supplier), **source)

    with pytest.raises(ModelUnavailableError, match=reason):
        in_turn(seed, "m")


def test_a_disabled_model_is_not_served_by_its_available_sources(seed: Seed, acme: records.SupplierRecord) -> None:
    seed.source(seed.model("m", is_available=False, reason="disabled"), acme)

    with pytest.raises(ModelUnavailableError, match="disabled"):
        in_turn(seed, "m")


def test_a_chain_goes_step_by_step_and_a_source_comes_once(seed: Seed, acme: records.SupplierRecord) -> None:
    first, second = seed.model("first"), seed.model("second")
    cheap = seed.source(first, acme, "first-cheap", priority=2)
    seed.source(first, acme, "first-dear", priority=1)
    seed.source(second, acme, "second")
    seed.chain("c", cheap, second, first)

    assert in_turn(seed, "c") == ["first-cheap", "second", "first-dear"]


def test_a_key_takes_the_steps_that_it_may(seed: Seed, acme: records.SupplierRecord) -> None:
    first, second = seed.model("first"), seed.model("second")
    seed.source(first, acme, "first")
    seed.source(second, acme, "second")
    seed.chain("c", first, second)

    def caller(*allowed: records.ModelRecord) -> AccessKey:
        return AccessKey(uuid4(), "", True, None, frozenset(model.id for model in allowed))  # noqa: FBT003

    assert in_turn(seed, "c", caller(second)) == ["second"]
    with pytest.raises(ModelNotPermittedError):
        in_turn(seed, "c", caller())


def test_an_inactive_chain_is_not_found(seed: Seed) -> None:
    seed.chain("c", seed.model("m"), is_active=False)

    with pytest.raises(ModelNotFoundError):
        in_turn(seed, "c")


def test_a_chain_without_living_steps_says_what_became_of_each(seed: Seed) -> None:
    gone = seed.model("gone", is_available=False, reason="delisted")
    seed.chain("c", gone, seed.model("bare"))
    seed.chain("empty")

    with pytest.raises(ModelUnavailableError, match="gone: delisted; bare: it has no source"):
        in_turn(seed, "c")
    with pytest.raises(ModelUnavailableError, match="no steps"):
        in_turn(seed, "empty")


def test_credentials_come_by_priority_then_least_recently_used(seed: Seed, acme: records.SupplierRecord) -> None:
    seed.source(seed.model("m"), acme)
    late = seed.credential(acme, "late", priority=2)
    one, two = seed.credential(acme, "one", priority=1), seed.credential(acme, "two", priority=1)
    seed.credential(acme, "off", priority=0, is_active=False)
    seed.credential(acme, "dead", priority=0, state="dead")
    [offer] = chosen(seed).offers
    standings = Standings()
    tried: set[UUID] = set()

    order = []
    while credential := next_credential(offer, tried, standings, now=0):
        standings.note_use(credential)
        tried.add(credential.id)
        order.append(credential.id)
    again = next_credential(offer, set(), standings, now=0)

    assert set(order[:2]) == {one.id, two.id}
    assert order[2] == late.id
    assert again is not None
    assert again.id == order[0]


def test_credentials_of_equal_priority_take_turns_by_weight_and_nothing_is_made_up_for(
    seed: Seed, acme: records.SupplierRecord
) -> None:
    seed.source(seed.model("m"), acme)
    names = {
        seed.credential(acme, "heavy", weight=3).id: "heavy",
        seed.credential(acme, "light", weight=1).id: "light",
        seed.credential(acme, "spare", weight=0).id: "spare",
        seed.credential(acme, "later", weight=9, priority=99).id: "later",
    }
    [offer] = chosen(seed).offers
    standings = Standings()

    def used(times: int, *out: str) -> Counter[str]:
        tried = {key for key, name in names.items() if name in out}
        counted = Counter[str]()
        for _ in range(times):
            credential = next_credential(offer, tried, standings, now=0)
            assert credential is not None
            standings.note_use(credential)
            counted[names[credential.id]] += 1
        return counted

    assert used(8) == {"heavy": 6, "light": 2}
    assert used(10, "light") == {"heavy": 10}
    assert used(8) == {"heavy": 6, "light": 2}
    assert used(3, "heavy", "light") == {"spare": 3}
    assert used(2, "heavy", "light", "spare") == {"later": 2}


def test_a_credential_is_out_until_its_time_or_until_it_has_a_new_secret(
    seed: Seed, acme: records.SupplierRecord
) -> None:
    seed.source(seed.model("m"), acme)
    record = seed.credential(acme, "one")
    [offer] = chosen(seed).offers
    standings = Standings()
    standings.put_out(offer.credentials[0], until=10, now=0)

    assert next_credential(offer, (), standings, now=9) is None
    assert next_credential(offer, (), standings, now=10) is not None

    seed.put(record.model_copy(update={"sealed": "another", "generation": 2}))
    [offer] = chosen(seed).offers
    assert next_credential(offer, (), standings, now=9) is not None
