"""Splits: which arm is drawn, that it stays, where its share goes when it can't serve, and what is told of it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbus.chassis.ids import new_id
from modelbus.contracts.routing import ScopeRecord, SplitRecord
from modelbus.router.balance.balancer import Balancer
from modelbus.router.balance.drawing import key_of, lot_of
from modelbus.router.cache.routing import Arm, Split
from modelbus.router.journey.ask import Ask
from modelbus.simulator import Fault, Simulator
from router.picking import an_ask, chosen
from router.routers import RunningRouter, running_router
from router.seeding import Seed, an_arm
from router.spools import spooled
from router.world import World
from running import ADMIN_TOKEN

SPLIT_ID = UUID(int=7)
USERS = [b"user-%d" % number for number in range(3000)]
NAMES = ("a", "b", "c")


def drawn(weights: Iterable[int], users: Iterable[bytes] = USERS, split_id: UUID = SPLIT_ID) -> list[str]:
    """Answer the arm that each user draws."""
    arms = tuple(Arm(name, UUID(int=1), weight) for name, weight in zip(NAMES, weights, strict=False))
    split = Split(split_id, "s", is_active=True, sticky_by="user", arms=arms)
    return [max(arms, key=lambda arm: lot_of(split, arm, user)).name for user in users]


@pytest.mark.parametrize("weights", [(1, 1), (95, 5), (70, 20, 10), (1, 1, 1_000_000), (3, 0, 1)])
def test_each_arm_is_drawn_as_often_as_its_weight_says(weights: tuple[int, ...]) -> None:
    counts = Counter(drawn(weights))

    for name, weight in zip(NAMES, weights, strict=False):
        share = weight / sum(weights)
        spread = (len(USERS) * share * (1 - share)) ** 0.5
        # One wrong verdict in some billions, would the users be other ones.
        assert abs(counts[name] - len(USERS) * share) <= 6 * spread


@settings(max_examples=30, deadline=None)
@given(weights=st.tuples(*[st.integers(0, 50)] * 3), at=st.integers(0, 2), heavier=st.integers(1, 50))
def test_a_change_of_weights_moves_users_only_to_the_heavier_arm_or_from_the_lighter(
    weights: tuple[int, int, int], at: int, heavier: int
) -> None:
    after = tuple(weight + heavier * (place == at) for place, weight in enumerate(weights))
    users = USERS[:200]
    if not any(weights):
        return

    moves = {(old, new) for old, new in zip(drawn(weights, users), drawn(after, users), strict=True) if old != new}

    assert {new for _old, new in moves} <= {NAMES[at]}


def test_no_more_users_move_than_the_change_of_shares_asks_for() -> None:
    before, after = drawn((90, 10)), drawn((80, 20))

    moved = sum(old != new for old, new in zip(before, after, strict=True))
    assert moved == pytest.approx(len(USERS) * 0.1, rel=0.35)


def test_another_split_draws_otherwise_and_the_same_weights_draw_the_same() -> None:
    ours, others = drawn((1, 1)), drawn((1, 1), split_id=UUID(int=8))

    assert ours == drawn((50, 50))
    assert sum(one == other for one, other in zip(ours, others, strict=True)) == pytest.approx(1500, rel=0.1)


def asked_by(sticky_by: str, headers: dict[bytes, bytes] | None = None, **fields: Any) -> bytes | None:
    return key_of(sticky_by, replace(an_ask("s", **fields), headers=headers or {}))


def test_the_key_is_the_user_or_the_header_or_none() -> None:
    headers = {b"x-user-id": b"u1", b"x-empty": b""}

    assert asked_by("header:x-user-id", headers) == b"u1"
    assert asked_by("header:x-empty", headers) == asked_by("header:x-other", headers) is None
    assert asked_by("user", headers, user="zoé") == "zoé".encode()
    assert asked_by("user", safety_identifier="u2", metadata={"user_id": "u3"}) == b"u2"
    assert asked_by("user", user="", metadata={"user_id": "u3", "more": [1]}) == b"u3"
    for nobody in ({}, {"user": 7}, {"user": None}, {"metadata": "u"}, {"metadata": {"user_id": 1}}):
        assert asked_by("user", headers, **nobody) is None
    assert asked_by("none", headers, user="u") is None


class Arms:
    """Three models, each with a source of its own, behind arms of weights 60, 30 and 10."""

    def __init__(self, **fields: Any) -> None:
        self.seed = Seed()
        self.supplier = self.seed.supplier("acme", requires_credential=False)
        self.models = [self.seed.model(name) for name in NAMES]
        self.sources = [self.seed.source(model, self.supplier, model.name) for model in self.models]
        weights = (60, 30, 10)
        self.split = self.seed.split("s", *map(an_arm, NAMES, self.models, weights), **{"sticky_by": "user"} | fields)

    def lose(self, at: int) -> None:
        lost = self.sources[at].model_copy(update={"is_available": False, "reason": "delisted"})
        self.seed.put(lost)


def an_ask_of(user: int) -> Ask:
    return an_ask("s", user=f"user-{user}")


def test_the_drawn_arm_comes_first_and_then_the_others_the_heavier_before() -> None:
    arms = Arms()
    table = arms.seed.table()
    orders = {
        tuple(offer.source.upstream_name for offer in chosen(table, an_ask_of(user)).offers) for user in range(100)
    }

    assert orders == {("a", "b", "c"), ("b", "a", "c"), ("c", "a", "b")}


def test_the_share_of_an_arm_that_can_not_serve_goes_to_the_others_by_weight_and_nobody_else_moves() -> None:
    arms = Arms()
    whole = arms.seed.table()
    arms.lose(0)
    broken = arms.seed.table()
    moved: Counter[str] = Counter()
    for user in range(600):
        before, after = chosen(whole, an_ask_of(user)), chosen(broken, an_ask_of(user))
        assert before.draw is not None
        assert after.draw is not None
        if before.draw.variant == "a":
            moved[after.draw.variant] += 1
        else:
            assert after.draw == before.draw
        assert [(each.step.place, each.reason) for each in after.stale] == [("arm 'a'", "delisted")]

    assert set(moved) == {"b", "c"}
    assert moved["b"] / moved.total() == pytest.approx(0.75, abs=0.12)


def test_an_arm_of_weight_0_serves_only_when_all_others_can_not() -> None:
    arms = Arms()
    weightless = [
        arm.model_copy(update={"weight": weight}) for arm, weight in zip(arms.split.arms, (1, 1, 0), strict=True)
    ]
    arms.seed.put(arms.split.model_copy(update={"arms": weightless}))
    table = arms.seed.table()
    arms.lose(0)
    arms.lose(1)

    first = {chosen(table, an_ask_of(user)).offers[0].model.name for user in range(50)}
    last = chosen(arms.seed, an_ask_of(1))

    assert first == {"a", "b"}
    assert last.draw is not None
    assert (last.draw.variant, [offer.model.name for offer in last.offers]) == ("c", ["c"])


def test_without_a_key_the_draw_is_by_chance() -> None:
    arms = Arms()
    table = arms.seed.table()
    draws = [chosen(table, an_ask("s"), seed=seed).draw for seed in range(200)]
    again = [chosen(table, an_ask("s"), seed=seed).draw for seed in range(200)]

    counts = Counter(each.variant for each in draws if each is not None and each.by == "chance")
    assert draws == again
    assert counts["a"] == pytest.approx(120, abs=35)
    assert set(counts) == set(NAMES)


def test_arms_of_one_name_in_two_splits_keep_their_own_sources() -> None:
    arms = Arms()
    [model, *_] = arms.models
    other = arms.seed.source(model, arms.supplier, "other")
    arms.seed.split("one", an_arm("x", arms.sources[0]))
    arms.seed.split("two", an_arm("x", other))
    table, balancer = arms.seed.table(), Balancer("priority")

    choices = [chosen(table, name, by=balancer) for name in ("one", "two")]
    served = [[offer.source.upstream_name for offer in choice.offers] for choice in choices]

    assert served == [["a"], ["other"]]


def test_a_split_with_nothing_that_serves_is_refused_and_says_which_arms() -> None:
    arms = Arms()
    for at in range(3):
        arms.lose(at)

    choice = chosen(arms.seed, an_ask_of(1))

    assert choice.refusal is not None
    assert (choice.refusal.code, choice.draw) == ("model_unavailable", None)
    assert "a: delisted; b: delisted; c: delisted" in str(choice.refusal)


def a_split(world: World, **fields: Any) -> SplitRecord:
    """Split gpt-4o by its two sources."""
    arms = [an_arm("old", world.at_acme, 1), an_arm("new", world.at_beta, 1)]
    return world.seed.split("canary", *arms, **{"sticky_by": "header:x-user"} | fields)


async def asked(router: RunningRouter, user: str, **fields: Any) -> str | None:
    answer = await router.http.post(
        "/v1/chat/completions",
        headers={"X-User": user},
        json={"model": "canary", "messages": [{"role": "user", "content": "hi"}], **fields},
    )
    assert answer.status_code == 200, answer.text
    variant: str | None = answer.headers.get("x-modelbus-variant")
    return variant


async def test_who_sticks_gets_the_same_variant_which_answers_and_usage_tell(world: World, tmp_path: Path) -> None:
    split = a_split(world)
    async with running_router(tmp_path, world.seed) as router:
        first = [await asked(router, f"u{number}") for number in range(12)]
        again = [await asked(router, f"u{number}", stream=True) for number in range(12)]
        listed = (await router.http.get("/v1/models")).json()["data"]
        plain = await router.complete()

    assert first == again
    assert set(first) == {"old", "new"}
    assert {"canary", "gpt-4o"} <= {model["id"] for model in listed}
    assert "x-modelbus-variant" not in plain.headers
    of_source = {str(world.at_acme.id): "old", str(world.at_beta.id): "new"}
    *told, other = spooled(tmp_path)
    assert [each["variant"] for each in told] == [*first, *again]
    for each in told:
        assert (each["split_id"], each["split_name"], each["drawn_variant"]) == (
            str(split.id),
            "canary",
            each["variant"],
        )
        assert of_source[each["attempts"][-1]["source_id"]] == each["variant"]
    assert (other["split_id"], other["variant"], other["is_shadow"]) == (None, None, False)


async def test_when_the_drawn_arm_fails_another_answers_and_both_are_told(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    a_split(world)
    simulator.openai.misbehave(Fault(status=500), path="chat")
    async with running_router(tmp_path, world.seed) as router:
        variants = {await asked(router, f"u{number}") for number in range(20)}

    assert variants == {"new"}
    assert {"old", "new"} == {each["drawn_variant"] for each in spooled(tmp_path)}
    assert {each["variant"] for each in spooled(tmp_path)} == {"new"}


async def explained(router: RunningRouter, **headers: str) -> dict[str, Any]:
    answer = await router.http.post(
        "/api/v1/explain",
        json={"model": "canary", "messages": [{"role": "user", "content": "hi"}]},
        headers={"Authorization": f"Bearer {ADMIN_TOKEN}", **headers},
    )
    told: dict[str, Any] = answer.raise_for_status().json()
    return told


async def test_an_explanation_tells_the_draw_and_the_arms_that_were_passed_over(world: World, tmp_path: Path) -> None:
    a_split(world)
    world.seed.put(world.at_acme.model_copy(update={"is_available": False, "reason": "delisted"}))
    async with running_router(tmp_path, world.seed) as router:
        sticky, by_chance = await explained(router, **{"x-user": "u1"}), await explained(router)

    assert (sticky["kind"], sticky["name"]) == ("split", "canary")
    assert sticky["draw"] == {"variant": "new", "by": "header:x-user"}
    assert by_chance["draw"] == {"variant": "new", "by": "chance"}
    assert [each["place"] for each in sticky["candidates"]] == ["arm 'new'"]
    assert [(each["place"], each["reason"]) for each in sticky["skipped"]] == [("arm 'old'", "delisted")]


async def test_answers_of_a_split_are_not_given_again_to_who_draws_another_arm(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    a_split(world)
    scope = ScopeRecord(
        id=new_id(),
        name="shop",
        is_active=True,
        model_ids=[world.model.id],
        default_model_id=None,
        response_cache_s=300,
    )
    world.seed.put(scope)
    body = {"model": "canary", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    async with running_router(tmp_path, world.seed) as router:
        for _ in range(2):
            answer = await router.http.post(
                "/v1/chat/completions", json=body, headers={"X-Modelbus-Scope": "shop", "X-User": "u1"}
            )
            assert (answer.status_code, answer.headers.get("x-modelbus-cache")) == (200, None)

    assert len(simulator.openai.exchanges) + len(simulator.openrouter.exchanges) == 2


async def test_a_split_that_is_out_of_service_is_not_found(world: World, tmp_path: Path) -> None:
    a_split(world, is_active=False)
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete(model="canary")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
