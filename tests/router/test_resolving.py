"""What the model of a request means: by name, by default, by scope and by level."""

from typing import Any
from uuid import uuid4

import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts import records
from modelbus.router.cache.records import AccessKey
from modelbus.router.domain.errors import (
    MalformedRequestError,
    ModelNotFoundError,
    ModelNotPermittedError,
    ModelUnavailableError,
    NoCapableSourceError,
    ScopeNotPermittedError,
)
from modelbus.router.naming.resolving import named
from modelbus.router.wire.endpoints import ENDPOINTS
from router.picking import an_ask, chosen, in_turn
from router.routers import running_router
from router.seeding import Seed
from router.world import World


class Shop:
    """A catalog in which each model has a source of its name."""

    def __init__(self) -> None:
        self.seed = Seed()
        self.supplier = self.seed.supplier("acme", requires_credential=False)

    def model(
        self, name: str, *, is_served: bool = True, cost: str | None = None, **fields: Any
    ) -> records.ModelRecord:
        model = self.seed.model(name, **fields)
        if is_served:
            prices = records.CostPrices(input=cost, output=cost)
            self.seed.source(model, self.supplier, name, cost=prices)
        return model


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_a_name_means_a_model_then_an_alias_then_an_id_then_a_chain_then_a_routing_then_a_strategy() -> None:
    seed = Seed()
    model = seed.model("1")
    aliased = seed.model("other", aliases=["1", "2"])
    chains = [seed.chain(name, model) for name in ("1", "2", "3")]
    routings = [seed.complexity(name, easy=[model]) for name in ("3", "4")]
    strategy = seed.strategy("5", model)
    seed.strategy("4", model)
    seed.strategy("all")
    table = seed.table()

    found = {name: named(table, name) for name in ("1", "2", "3", "4", "5", str(aliased.id))}

    assert [(each.kind, each.id) for each in found.values()] == [
        ("model", model.id),
        ("alias", aliased.id),
        ("chain", chains[2].id),
        ("complexity", routings[1].id),
        ("strategy", strategy.id),
        ("id", aliased.id),
    ]
    for unknown in ("6", "all", str(uuid4()), str(chains[2].id), "g" * 36):
        with pytest.raises(ModelNotFoundError):
            named(table, unknown)


def test_without_a_model_the_default_of_the_paths_type_serves(shop: Shop) -> None:
    shop.model("talks", is_default=True)
    shop.model("embeds", model_type="embedding", is_default=True)
    shop.model("other")

    assert in_turn(shop.seed, an_ask("")) == ["talks"]
    assert in_turn(shop.seed, an_ask("", endpoint=ENDPOINTS["/v1/embeddings"], input="a")) == ["embeds"]
    with pytest.raises(MalformedRequestError, match="none of type rerank or multimodal is the default"):
        in_turn(shop.seed, an_ask("", endpoint=ENDPOINTS["/v1/rerank"]))


def test_a_model_of_another_type_is_no_answer(shop: Shop) -> None:
    shop.model("embeds", model_type="embedding")

    with pytest.raises(NoCapableSourceError, match="embeds is of type embedding"):
        in_turn(shop.seed, "embeds")


def test_a_scope_holds_its_models_and_its_default(shop: Shop) -> None:
    inside, default, outside = shop.model("inside"), shop.model("default"), shop.model("outside", is_default=True)
    shop.seed.chain("mixed", outside, inside)
    shop.seed.scope("sales", inside, default, default_model_id=default.id)
    shop.seed.scope("bare", inside)

    assert in_turn(shop.seed, an_ask("", scope="sales")) == ["default"]
    assert in_turn(shop.seed, an_ask("mixed", scope="sales")) == ["inside"]
    with pytest.raises(ModelNotPermittedError):
        in_turn(shop.seed, an_ask("outside", scope="sales"))
    with pytest.raises(MalformedRequestError, match="the scope 'bare' has no default"):
        in_turn(shop.seed, an_ask("", scope="bare"))


def test_a_scope_that_is_unknown_inactive_or_not_the_callers_is_refused_alike(shop: Shop) -> None:
    model = shop.model("m")
    shop.seed.scope("off", model, is_active=False)
    scope = shop.seed.scope("theirs", model)

    def caller(*scopes: Any) -> AccessKey:
        return AccessKey(new_id(), "", True, None, None, scope_ids=frozenset(scopes))  # noqa: FBT003

    assert in_turn(shop.seed, an_ask("m", scope="theirs"), caller(scope.id)) == ["m"]
    for name in ("off", "nowhere", "theirs"):
        with pytest.raises(ScopeNotPermittedError, match=name):
            in_turn(shop.seed, an_ask("m", scope=name), caller(new_id()))


def test_a_scopes_strategy_chooses_where_nothing_is_named(shop: Shop) -> None:
    dear, cheap = shop.model("dear", cost="9"), shop.model("cheap", cost="1")
    hidden = shop.model("hidden", cost="0.1")
    strategy = shop.seed.strategy("thrift", dear, cheap, cost_weight=1.0)
    shop.seed.scope("sales", dear, cheap, hidden, strategy_id=strategy.id)

    choice = chosen(shop.seed, an_ask("", scope="sales"))

    assert [offer.model.name for offer in choice.offers] == ["cheap", "dear"]
    assert (choice.meaning.kind, choice.strategy) == ("scope", "thrift")


def test_auto_means_the_routing_of_that_name_or_the_oldest_active_one(shop: Shop) -> None:
    one, two = shop.model("one"), shop.model("two")
    shop.seed.complexity("off", is_active=False, medium=[two])
    first = shop.seed.complexity("first", medium=[one])
    second = shop.seed.complexity("second", medium=[two])
    [older, younger] = sorted((first, second), key=lambda each: each.id)
    served_by = {first.id: ["one"], second.id: ["two"]}

    assert in_turn(shop.seed, "auto") == served_by[older.id]
    shop.seed.put(younger.model_copy(update={"name": "auto"}))
    assert in_turn(shop.seed, "auto") == served_by[younger.id]


@pytest.mark.parametrize(
    ("level", "order"), [("easy", ["a", "b", "c", "d"]), ("hard", ["c", "d", "a", "b"]), ("trivial", list("abcd"))]
)
def test_a_level_is_followed_by_harder_ones_and_then_by_easier_ones(shop: Shop, level: str, order: list[str]) -> None:
    a, b, c, d = (shop.model(name) for name in "abcd")
    shop.seed.complexity("r", easy=[a, b], hard=[c, a], expert=[d])
    if level == "hard":
        order = ["c", "a", "d", "b"]

    assert in_turn(shop.seed, "r", level=level) == order


def test_what_is_stale_is_passed_over_and_told_with_its_place(shop: Shop) -> None:
    gone = shop.model("gone", is_available=False, reason="delisted")
    bare, fit = shop.model("bare", is_served=False), shop.model("fit")
    chain = shop.seed.chain("c", gone, bare, fit)

    choice = chosen(shop.seed, "c")

    assert [offer.model.name for offer in choice.offers] == ["fit"]
    assert [(each.step.place, each.step.id, each.reason) for each in choice.stale] == [
        ("step 1", chain.steps[0].id, "delisted"),
        ("step 2", chain.steps[1].id, "it has no source"),
    ]
    assert chosen(shop.seed, "gone").stale == []


def test_a_caller_may_what_its_consumers_tier_may(shop: Shop) -> None:
    free, pro = shop.model("free"), shop.model("pro", tier="pro")
    shop.seed.chain("c", pro, free)
    caller = AccessKey(new_id(), "", True, None, None, tiers=frozenset({"free"}))  # noqa: FBT003

    assert in_turn(shop.seed, "c", caller) == ["free"]
    with pytest.raises(ModelNotPermittedError):
        in_turn(shop.seed, "pro", caller)
    assert chosen(shop.seed, "c", caller).left_out[0].reason == "not_permitted"


def test_an_unavailable_default_says_why(shop: Shop) -> None:
    shop.model("talks", is_default=True, is_available=False, reason="retired")

    with pytest.raises(ModelUnavailableError, match="'talks' is not available: retired"):
        in_turn(shop.seed, an_ask(""))


async def test_the_list_holds_what_the_key_can_call_chains_routings_and_auto_included(
    world: World, tmp_path: Any
) -> None:
    seed, away = world.seed, world.seed.model("away", is_available=False, reason="disabled")
    other = seed.model("pro-model", tier="pro")
    seed.source(other, world.acme)
    seed.chain("served", away, world.model)
    seed.chain("dead", away)
    seed.complexity("levels", hard=[world.model])
    seed.strategy("thrift", world.model, cost_weight=1.0)
    seed.scope("sales", world.model)

    async with running_router(tmp_path, seed) as router:
        everything = (await router.http.get("/v1/models")).json()["data"]
        scoped = (await router.http.get("/v1/models", headers={"x-modelbus-scope": "sales"})).json()["data"]
        refused = await router.http.get("/v1/models", headers={"x-modelbus-scope": "nowhere"})
        served = await router.complete(model="auto")

    assert [each["id"] for each in everything] == ["auto", "gpt-4o", "levels", "pro-model", "served", "thrift"]
    assert [each["id"] for each in scoped] == ["auto", "gpt-4o", "levels", "served", "thrift"]
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope_not_permitted")
    assert served.status_code == 200
