"""Strategies: each by its own rule, and all of them only ever among what may and can serve."""

from collections import Counter
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbus.chassis.ids import new_id
from modelbus.contracts.records import CostPrices, SourceRecord
from modelbus.router.balance import loads
from modelbus.router.balance.balancer import Balancer
from modelbus.router.balance.standings import Refused
from modelbus.router.balance.strategies import STRATEGIES
from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import (
    MalformedRequestError,
    ModelUnavailableError,
    NoCapableSourceError,
    UnsupportedBySourceError,
)
from modelbus.router.wire.endpoints import ENDPOINTS
from router.picking import ANYONE, an_ask, chosen, in_turn
from router.seeding import Seed

IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]
TOOLS = [{"type": "function", "function": {"name": "f"}}]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that loads see; a test moves it."""
    now = [1000.0]
    monkeypatch.setattr(loads, "monotonic", lambda: now[0])
    monkeypatch.setattr("modelbus.router.balance.balancer.monotonic", lambda: now[0])
    return now


def several(*fields: dict[str, Any]) -> tuple[Table, list[SourceRecord]]:
    seed = Seed()
    model, supplier = seed.model("m"), seed.supplier("acme", requires_credential=False)
    sources = [seed.source(model, supplier, f"s{place}", **each) for place, each in enumerate(fields)]
    return seed.table(), sources


def serve(by: Balancer, source_id: UUID, clock: list[float], took_s: float, *, is_served: bool = True) -> None:
    errand = by.loads.begin(source_id)
    clock[0] += took_s
    errand.end(is_served=is_served)


def firsts(table: Table, by: Balancer, times: int) -> Counter[str]:
    """Count which source comes first, by the balancer's own chance."""
    ask = an_ask()
    return Counter(
        by.choose(by.find(table, ask, ANYONE), ask, ANYONE).offers[0].source.upstream_name for _ in range(times)
    )


def test_weights_are_honoured_whatever_the_priority() -> None:
    table, _ = several({"weight": 1, "priority": 1}, {"weight": 3, "priority": 2}, {"weight": 0, "priority": 0})

    seen = Counter(in_turn(table, by=Balancer("weighted"), seed=seed)[0] for seed in range(2000))

    # Four standard deviations of a binomial of 2000 with a chance of 3 in 4.
    assert seen["s1"] == pytest.approx(1500, abs=80)
    assert seen["s2"] == 0


def test_round_robin_goes_round() -> None:
    table, _ = several({"weight": 9}, {}, {})

    assert firsts(table, Balancer("round_robin"), 9) == {"s0": 3, "s1": 3, "s2": 3}


def test_the_least_busy_comes_first_until_it_is_as_busy_as_the_others() -> None:
    table, sources = several({}, {})
    by = Balancer("least_busy")
    busy = [by.loads.begin(sources[0].id), by.loads.begin(sources[0].id), by.loads.begin(sources[1].id)]

    assert firsts(table, by, 20) == {"s1": 20}
    busy[0].end(is_served=True)
    assert set(firsts(table, by, 60)) == {"s0", "s1"}


def test_an_errand_ends_once() -> None:
    by = Balancer("priority")
    source_id = new_id()
    errand = by.loads.begin(source_id)

    errand.end(is_served=None)
    errand.end(is_served=False)

    assert by.loads.of(source_id).in_flight == 0
    assert by.loads.of(source_id).is_known is False


def test_what_was_seen_of_what_is_gone_is_forgotten_once_it_is_much(clock: list[float]) -> None:
    seed = Seed()
    supplier = seed.supplier("acme")
    source, credential = seed.source(seed.model("m"), supplier), seed.credential(supplier, "secret")
    table, by = seed.table(), Balancer("priority")
    known = table.credentials.get(credential.id)
    assert known is not None
    gone = [msgspec.structs.replace(known, id=new_id(), supplier_id=new_id()) for _ in range(1000)]
    renewed = msgspec.structs.replace(known, generation=known.generation + 1)
    for each in (known, *gone):
        by.standings.note_use(each)
        by.standings.note_served(each, 0.0)
        serve(by, source.id if each is known else each.id, clock, 0.1)
    for each in (known, gone[0], renewed):
        assert by.standings.hear(Refused(each, 429, is_cooled=True, out_s=1), since=1.0, now=2.0)

    by.menu(seed.table())

    assert (by.loads.of(source.id).is_known, by.loads.of(gone[0].id).is_known) == (True, False)
    assert by.standings.turn(known) == (0.0 + 1, 1)
    assert by.standings.turn(gone[0]) == (0.0, 0)
    # A credential is not left alone twice on the word of others alone; what is forgotten was never heard of.
    again = {
        each.id: by.standings.hear(Refused(each, 429, is_cooled=True, out_s=9), since=9.0, now=9.0)
        for each in (known, gone[0])
    }
    assert again == {known.id: False, gone[0].id: True}
    assert by.standings.hear(Refused(renewed, 429, is_cooled=True, out_s=9), since=9.0, now=9.0)


def test_the_quicker_of_two_comes_first_and_a_slow_answer_counts_at_once(clock: list[float]) -> None:
    table, sources = several({}, {})
    by = Balancer("lowest_latency")
    serve(by, sources[0].id, clock, 0.1)
    serve(by, sources[1].id, clock, 0.2)
    assert firsts(table, by, 20) == {"s0": 20}

    serve(by, sources[0].id, clock, 3.0)
    assert firsts(table, by, 20) == {"s1": 20}


def test_among_many_two_choices_leave_the_quickest_less_than_everything(clock: list[float]) -> None:
    table, sources = several(*[{}] * 5)
    by = Balancer("lowest_latency")
    for place, source in enumerate(sources, 1):
        serve(by, source.id, clock, place / 10)

    seen = firsts(table, by, 1000)

    # The quickest is among the two in 2 of 5 draws, the slowest never before another.
    assert seen["s0"] == pytest.approx(400, abs=65)
    assert seen["s4"] == 0


def test_what_was_never_called_is_tried_and_old_slowness_is_forgotten(clock: list[float]) -> None:
    table, sources = several({}, {})
    by = Balancer("lowest_latency")
    serve(by, sources[0].id, clock, 5.0)
    assert set(firsts(table, by, 60)) == {"s0", "s1"}

    serve(by, sources[1].id, clock, 0.1)
    assert firsts(table, by, 20) == {"s1": 20}
    clock[0] += 100
    held = [by.loads.begin(sources[1].id)]
    assert firsts(table, by, 20) == {"s0": 20}
    held[0].end(is_served=None)


@pytest.mark.parametrize("strategy", ["weighted", "round_robin", "least_busy", "lowest_latency"])
def test_a_source_that_has_come_back_takes_a_growing_share_and_no_herd(strategy: str, clock: list[float]) -> None:
    table, sources = several({}, {})
    by = Balancer(strategy)
    for source in sources:
        serve(by, source.id, clock, 0.1)
    for _ in range(5):
        serve(by, sources[0].id, clock, 0.01, is_served=False)
    serve(by, sources[0].id, clock, 0.01)
    share = {}
    for after_s in (0.0, loads.EASING_S):
        clock[0] += after_s
        share[after_s] = firsts(table, by, 400)["s0"]

    assert share[0.0] < 80
    assert share[loads.EASING_S] >= 150


def test_the_preferred_source_is_back_at_once(clock: list[float]) -> None:
    table, sources = several({"priority": 1}, {"priority": 2})
    by = Balancer("priority")
    for is_served in [False] * 5 + [True]:
        serve(by, sources[0].id, clock, 0.01, is_served=is_served)

    assert firsts(table, by, 50) == {"s0": 50}


def test_the_cheapest_comes_first_and_unknown_prices_last() -> None:
    table, _ = several(
        {"priority": 0},
        {"cost": CostPrices(input="2", output="4")},
        {"cost": CostPrices(input="1", output="5")},
        {"cost": CostPrices(input="0.1", output="0.1", is_dynamic=True), "priority": 3},
    )

    assert in_turn(table, by=Balancer("lowest_cost")) == ["s2", "s1", "s0", "s3"]


def test_a_cost_strategy_weighs_and_leaves_out_what_is_beyond_its_caps() -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    models = [seed.model(name, is_featured=name == "strong") for name in ("strong", "cheap", "dear", "unknown", "slow")]
    prices = ["4", "1", "50", None, "1"]
    sources = [
        seed.source(model, supplier, model.name, cost=CostPrices(input=price, output=price))
        for model, price in zip(models, prices, strict=True)
    ]
    caps: dict[str, Any] = {"max_input_price": "10", "max_latency_ms": 500}
    seed.strategy("thrift", *models, cost_weight=1.0, **caps)
    seed.strategy("class", *models, quality_weight=3.0, cost_weight=1.0, **caps)
    by = Balancer("priority")
    by.loads.begin(sources[4].id).end(is_served=True, first_token_s=0.9)
    table = seed.table()

    thrift = chosen(table, "thrift", by=by)

    assert [offer.model.name for offer in thrift.offers] == ["cheap", "strong"]
    assert {each.model.name: each.reason for each in thrift.left_out if each.model} == {
        "dear": "input_price_above_cap",
        "unknown": "price_unknown",
        "slow": "latency_above_cap",
    }
    assert in_turn(table, "class", by=by) == ["strong", "cheap"]


def test_success_and_latency_count_where_a_strategy_says_so(clock: list[float]) -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    model = seed.model("m")
    shaky, slow = (seed.source(model, supplier, name) for name in ("shaky", "slow"))
    seed.strategy("safe", model, success_weight=1.0)
    seed.strategy("quick", model, latency_weight=1.0)
    by = Balancer("priority")
    for is_served in (True, False, True, False):
        serve(by, shaky.id, clock, 0.1, is_served=is_served)
        serve(by, slow.id, clock, 2.0)
    table = seed.table()

    assert in_turn(table, "safe", by=by) == ["slow", "shaky"]
    assert in_turn(table, "quick", by=by) == ["shaky", "slow"]


def test_capabilities_are_demanded_where_they_are_known() -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    for name in ("vision", "tools", "structured_output"):
        seed.source(seed.able(f"with-{name}", name), supplier)
    seed.source(seed.model("anything"), supplier)
    seed.chain("c", *seed.records["model"].values())  # type: ignore[arg-type]
    table = seed.table()

    def able(**fields: Any) -> list[str]:
        return [offer.model.name for offer in chosen(table, an_ask("c", **fields)).offers]

    assert able(messages=IMAGE) == ["with-vision", "anything"]
    assert able(tools=TOOLS) == ["with-tools", "anything"]
    assert able(response_format=SCHEMA) == ["with-structured_output", "anything"]
    assert len(able(tools=[], response_format={"type": "text"})) == 4
    with pytest.raises(NoCapableSourceError, match="with-tools lacks vision") as refused:
        in_turn(table, an_ask("with-tools", messages=IMAGE))
    assert refused.value.param == "model"


def test_words_that_look_like_an_image_are_none() -> None:
    seed = Seed()
    seed.source(seed.able("m", "tools"), seed.supplier("acme", requires_credential=False))
    said = '{"type": "image_url"}'
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {"type": "image"}}

    assert in_turn(seed, an_ask(messages=[{"role": "user", "content": said}]))
    assert in_turn(seed, an_ask(messages=[{"role": "assistant", "content": [call]}]))
    result = {"type": "tool_result", "tool_use_id": "1", "content": [{"type": "image", "source": {}}]}
    with pytest.raises(NoCapableSourceError):
        in_turn(seed, an_ask(messages=[{"role": "user", "content": [result]}]))


def test_features_of_a_source_and_of_a_step_override_the_model() -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    model = seed.able("m", "tools")
    seed.source(model, supplier, "sees", features={"vision": True}, priority=1)
    seed.source(model, supplier, "mute", features={"streaming": False, "tools": False}, priority=2)
    [one, two] = [seed.chain(name, model) for name in ("one", "two")]
    for chain, features in ((one, {"vision": False}), (two, {"tools": True})):
        [step] = chain.steps
        seed.put(chain.model_copy(update={"steps": [step.model_copy(update={"features": features})]}))
    table = seed.table()

    assert in_turn(table, an_ask(messages=IMAGE)) == ["sees"]
    assert in_turn(table, an_ask(stream=True)) == ["sees"]
    assert in_turn(table, an_ask("two", tools=TOOLS)) == ["sees", "mute"]
    with pytest.raises(NoCapableSourceError, match="lacks vision"):
        in_turn(table, an_ask("one", messages=IMAGE))


def test_a_step_says_how_it_is_spoken_and_when_it_is_tried() -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    model = seed.model("m")
    seed.source(model, supplier)
    chain = seed.chain("c", model)
    [step] = chain.steps
    changed = step.model_copy(update={"protocol": "anthropic", "triggers": ["timeout"]})
    seed.put(chain.model_copy(update={"steps": [changed]}))

    [offer] = chosen(seed, "c").offers

    assert (offer.protocol, offer.triggers) == ("anthropic", ("timeout",))
    assert chosen(seed, "m").offers[0].protocol == "openai"


def test_a_prompt_that_is_too_long_goes_to_a_model_that_takes_it() -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    small, large = seed.model("small", context_window=1000), seed.model("large", context_window=100_000)
    for model in (small, large):
        seed.source(model, supplier)
    seed.chain("c", small, large)
    table = seed.table()

    def serving(characters: int) -> list[str]:
        ask = an_ask("c", messages=[{"role": "user", "content": "x" * characters}])
        return [offer.model.name for offer in chosen(table, ask).offers]

    assert serving(4_500) == ["small", "large"]
    assert serving(6_000) == ["large"]
    assert serving(600_000) == []
    image = [{"role": "user", "content": [{"type": "text", "text": "data:image/png;base64," + "A" * 100_000}]}]
    assert len(chosen(table, an_ask("c", messages=image)).offers) == 2


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_a_longer_answer_than_a_model_gives_is_asked_of_another_or_refused_by_its_field(field: str) -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    brief, long = seed.model("brief", max_output_tokens=1000), seed.model("long", max_output_tokens=8000)
    for model in (brief, long):
        seed.source(model, supplier, model.name)
    seed.chain("c", brief, long)
    table = seed.table()

    def answering(wanted: Any) -> list[str]:
        said: dict[str, Any] = {field: wanted}
        return in_turn(table, an_ask("c", **said))

    # What is no number is the supplier's to refuse.
    assert [answering(wanted) for wanted in (1000, None, "many")] == [["brief", "long"]] * 3
    assert answering(1001) == ["long"]
    said: dict[str, Any] = {field: 1001}
    assert [each.reason for each in chosen(table, an_ask("c", **said)).left_out] == [f"{field} must be at most 1000"]
    for name, most in (("brief", 1000), ("c", 1000), ("long", 8000)):
        said = {field: 8001}
        with pytest.raises(MalformedRequestError, match=f"^{field} must be at most {most} for ") as refused:
            in_turn(table, an_ask(name, **said))
        assert refused.value.param == field


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/completions", "/v1/embeddings"])
def test_a_path_that_is_not_translated_goes_to_who_speaks_it_and_is_refused_where_nobody_does(path: str) -> None:
    seed = Seed()
    fits = "embedding" if path == "/v1/embeddings" else "language"
    both, one = seed.model("both", model_type=fits), seed.model("one", model_type=fits)
    openai = seed.supplier("acme", requires_credential=False)
    anthropic = seed.supplier("claude", protocol="anthropic", requires_credential=False)
    for model in (both, one):
        seed.source(model, anthropic, "in-messages", priority=1)
    seed.source(both, openai, "as-asked", priority=2)
    table, endpoint = seed.table(), ENDPOINTS[path]

    found = chosen(table, an_ask("both", endpoint=endpoint))

    assert [offer.source.upstream_name for offer in found.offers] == ["as-asked"]
    assert [each.reason for each in found.left_out] == ["protocol"]
    with pytest.raises(UnsupportedBySourceError, match="/v1/chat/completions and /v1/messages are translated"):
        in_turn(table, an_ask("one", endpoint=endpoint))


def test_parameters_have_defaults_and_bounds() -> None:
    seed = Seed()
    supplier = seed.supplier("acme", requires_credential=False)
    parameters: list[Any] = [
        {"name": "temperature", "parameter_type": "float", "default": 0.3, "minimum": 0, "maximum": 1},
        {"name": "max_tokens", "parameter_type": "int", "default": 100, "maximum": 500},
        {"name": "effort", "parameter_type": "string", "choices": ["low", "high"]},
        {"name": "stream", "parameter_type": "bool", "default": True},
    ]
    seed.source(seed.model("m", parameters=parameters), supplier, "strict")
    loose = seed.model("loose")
    seed.source(loose, supplier, "loose")
    [first] = seed.table().models.found("name", "m")
    seed.chain("c", seed.records["model"][first.id], loose)  # type: ignore[arg-type]
    table = seed.table()

    def defaults(**fields: Any) -> dict[str, bytes]:
        ask = an_ask(**fields)
        return {name: bytes(raw) for name, raw in chosen(table, ask).offers[0].defaults_for(ask.fields).items()}

    assert defaults() == {"temperature": b"0.3", "max_tokens": b"100"}
    assert defaults(temperature=0, max_completion_tokens=5) == {}
    breaches: tuple[tuple[str, Any, str], ...] = (
        ("temperature", 1.5, "at most 1"),
        ("temperature", -1, "at least 0"),
        ("max_completion_tokens", 501, "at most 500"),
        ("effort", "middling", 'one of "low", "high"'),
    )
    for field, value, words in breaches:
        said: dict[str, Any] = {field: value}
        with pytest.raises(MalformedRequestError, match=f"{field} must be {words}") as refused:
            in_turn(table, an_ask(**said))
        assert refused.value.param == field
        assert in_turn(table, an_ask("c", **said)) == ["loose"]


def test_a_source_without_a_usable_credential_or_with_an_open_breaker_is_asked_last() -> None:
    seed = Seed()
    needy, free = seed.supplier("needy"), seed.supplier("free", requires_credential=False)
    model = seed.model("m")
    seed.source(model, needy, "keyless", priority=1)
    tripped = seed.source(model, free, "tripped", priority=2)
    seed.source(model, free, "well", priority=3)
    by = Balancer("priority")
    for _ in range(10):
        by.breakers.failed(tripped.id, 0.0, "broke")
        by.breakers.failed(tripped.id, 1e12, "broke")
        by.breakers.begin(tripped.id, 1e12)

    choice = chosen(seed, by=by)

    assert [offer.source.upstream_name for offer in choice.offers] == ["well", "keyless", "tripped"]
    assert set(choice.resting.values()) == {"no_usable_credential", "breaker_open"}


models = st.fixed_dictionaries(
    {
        "is_available": st.booleans(),
        "tier": st.sampled_from(["free", "pro"]),
        "context_window": st.sampled_from([None, 10, 100_000]),
        "model_type": st.sampled_from(["language", "multimodal", "embedding"]),
    }
)
offers = st.fixed_dictionaries(
    {
        "is_available": st.booleans(),
        "weight": st.integers(0, 5),
        "priority": st.integers(0, 2),
        "features": st.none() | st.dictionaries(st.sampled_from(["tools", "vision"]), st.booleans()),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    shapes=st.lists(st.tuples(models, st.booleans(), st.lists(offers, max_size=3)), min_size=1, max_size=4),
    strategy=st.sampled_from([*STRATEGIES, "weighing"]),
    is_pro=st.booleans(),
    in_scope=st.sets(st.integers(0, 3)),
    wants_tools=st.booleans(),
    seed=st.integers(0, 10),
)
def test_what_is_chosen_is_always_available_permitted_and_capable(
    shapes: list[Any],
    strategy: str,
    in_scope: set[int],
    seed: int,
    *,
    is_pro: bool,
    wants_tools: bool,
) -> None:
    world = Seed()
    supplier = world.supplier("acme", requires_credential=False)
    made = [
        world.able(f"m{at}", *(["tools"] if can else ["other"]), **fields) for at, (fields, can, _) in enumerate(shapes)
    ]
    fit = set()
    for at, (model, (_, can, sources)) in enumerate(zip(made, shapes, strict=True)):
        for fields in sources:
            source = world.source(model, supplier, **fields)
            is_able = (fields["features"] or {}).get("tools", can) or not wants_tools
            is_permitted = at in in_scope and (is_pro or model.tier == "free")
            is_fit = model.model_type != "embedding" and model.context_window != 10
            if model.is_available and source.is_available and is_able and is_permitted and is_fit:
                fit.add(source.id)
    weighing = world.strategy("weighing", cost_weight=1.0, latency_weight=1.0, quality_weight=1.0, success_weight=1.0)
    world.scope(
        "s",
        *(made[at] for at in in_scope if at < len(made)),
        strategy_id=weighing.id if strategy == "weighing" else None,
    )
    world.chain("c", *made)
    tiers = frozenset({"free", "pro"} if is_pro else {"free"})
    caller = AccessKey(new_id(), "", True, None, None, tiers=tiers)  # noqa: FBT003
    words = [{"role": "user", "content": "x" * 100}]
    tools: dict[str, Any] = {"tools": TOOLS} if wants_tools else {}
    ask = an_ask("c", scope="s", messages=words, **tools)

    choice = chosen(world, ask, caller, by=Balancer("priority" if strategy == "weighing" else strategy), seed=seed)

    found = [offer.id for offer in choice.offers]
    assert set(found) == fit
    assert len(found) == len(fit)
    assert (choice.refusal is None) == bool(fit)


def test_a_stale_only_chain_is_unavailable_and_not_incapable() -> None:
    seed = Seed()
    seed.chain("c", seed.model("gone", is_available=False, reason="delisted"))

    with pytest.raises(ModelUnavailableError, match="gone: delisted"):
        in_turn(seed, an_ask("c", tools=TOOLS))
