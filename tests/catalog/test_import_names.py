"""What older systems write is read strictly, and matched to what is here without guessing."""

from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from modelbus.catalog.domain.complexity import Level
from modelbus.catalog.domain.errors import EntryMalformedError, FileMalformedError
from modelbus.catalog.domain.import_files import MOST_ENTRIES, read_csv, read_json
from modelbus.catalog.domain.matching import Known, Named, Names
from modelbus.catalog.domain.older_shapes import ChainEntry, ModelEntry, RoutingEntry, Shape, read_entry

OPENAI, ROUTER = uuid4(), uuid4()
GPT, CLAUDE, CLAUDE_NEW = uuid4(), uuid4(), uuid4()
GPT_DIRECT, GPT_ROUTED, CLAUDE_ROUTED, CLAUDE_NEW_ROUTED = uuid4(), uuid4(), uuid4(), uuid4()


@pytest.fixture(scope="module")
def names() -> Names:
    def source(source_id: UUID, model: tuple[UUID, str], supplier_id: UUID, upstream: str) -> Known:
        return Known(model[0], model[1], (upstream,), source_id, supplier_id)

    gpt, claude = (GPT, "openai/gpt-4o"), (CLAUDE, "anthropic/claude-3.5-sonnet")
    newer = (CLAUDE_NEW, "anthropic/claude-3-5-sonnet")
    return Names.of(
        [
            Known(GPT, "openai/gpt-4o", ("omni",)),
            Known(CLAUDE, "anthropic/claude-3.5-sonnet", ()),
            Known(CLAUDE_NEW, "anthropic/claude-3-5-sonnet", ()),
            source(GPT_DIRECT, gpt, OPENAI, "gpt-4o"),
            source(GPT_ROUTED, gpt, ROUTER, "openai/gpt-4o"),
            source(CLAUDE_ROUTED, claude, ROUTER, "anthropic/claude-3.5-sonnet"),
            source(CLAUDE_NEW_ROUTED, newer, ROUTER, "anthropic/claude-3-5-sonnet"),
        ],
        [(OPENAI, ("openai", "OpenAI")), (ROUTER, ("openrouter", "Open Router"))],
    )


@pytest.mark.parametrize(
    ("named", "source_id"),
    [
        (Named("gpt-4o", "openai"), GPT_DIRECT),
        (Named("gpt-4o", "OpenAI"), GPT_DIRECT),
        (Named("openai/gpt-4o", "Open Router"), GPT_ROUTED),
        (Named("openai/gpt-4o", "open_router"), GPT_ROUTED),
        (Named("GPT_4o", "openai"), GPT_DIRECT),
        (Named("gpt-4o"), None),
        (Named("omni"), None),
    ],
)
def test_a_name_with_a_supplier_means_its_source_and_one_without_means_the_model(
    names: Names, named: Named, source_id: UUID | None
) -> None:
    match = names.find(named)

    assert match.is_clear
    assert (match.found[0].model_id, match.found[0].source_id) == (GPT, source_id)


def test_names_equal_to_the_letter_go_before_those_that_differ_in_separators(names: Names) -> None:
    exact = names.find(Named("anthropic/claude-3.5-sonnet", "openrouter"))
    either = names.find(Named("anthropic/claude_3_5_sonnet", "openrouter"))

    assert [known.source_id for known in exact.found] == [CLAUDE_ROUTED]
    assert {known.source_id for known in either.found} == {CLAUDE_ROUTED, CLAUDE_NEW_ROUTED}
    assert not either.is_clear


def test_what_means_nothing_comes_with_near_names_of_that_supplier_alone(names: Names) -> None:
    unknown = names.find(Named("gpt-4o-2024-05-13", "openai"))
    stranger = names.find(Named("gpt-4o", "opnai"))

    assert (unknown.found, unknown.near) == ((), ("gpt-4o", "openai/gpt-4o"))
    assert "claude" not in " ".join(unknown.near)
    assert (stranger.found, stranger.near[0]) == ((), "openai")
    assert "opnai" in stranger.reason


def test_a_model_config_is_read_with_its_prices_in_one_unit() -> None:
    raw = {"provider": "openai", "model": "gpt-4o", "tier_required": "pro", "input_price": "0.0025", "id": 17}
    entry = read_entry(Shape.MODEL_CONFIGS, {**raw, "price_unit": "per_thousand", "is_active": "false"})

    assert isinstance(entry, ModelEntry)
    assert entry.named == Named("gpt-4o", "openai")
    assert entry.charge == {"input": Decimal("2.5000")}
    assert entry.fields == {"tier": "pro", "is_active": False}


def test_an_aggregators_model_is_read_with_what_it_can() -> None:
    raw = {"provider": "aihubmix", "model_id": "gpt-4-turbo", "model_type": "chat", "context_window": 128000}
    entry = read_entry(
        Shape.AGGREGATOR_MODELS, {**raw, "capabilities": {"vision": True, "functionCalling": True, "x": False}}
    )

    assert isinstance(entry, ModelEntry)
    assert entry.fields == {"model_type": "language", "context_window": 128000}
    assert entry.capabilities == ("vision", "function_calling")


def test_a_chain_is_read_with_the_triples_of_its_steps() -> None:
    step = {
        "vendor": "anthropic",
        "model": "claude",
        "protocol": "anthropic-native",
        "features": {"cacheControl": True},
    }
    entry = read_entry(Shape.FALLBACK_CHAINS, {"chainId": "prod", "models": [step, {"model": "omni"}]})

    assert isinstance(entry, ChainEntry)
    assert entry.name == "prod"
    assert [(each.named, each.protocol, each.features) for each in entry.steps] == [
        (Named("claude", "anthropic"), "anthropic", {"cache_control": True}),
        (Named("omni"), None, None),
    ]


def test_levels_are_read_by_older_words_and_names_as_strings_or_objects() -> None:
    models = {"SUPER_EASY": "a", "hard": ["b", {"vendor": "v", "model": "c"}]}
    entry = read_entry(Shape.COMPLEXITY_ROUTING, {"models": models})

    assert isinstance(entry, RoutingEntry)
    assert entry.levels == {Level.TRIVIAL: (Named("a"),), Level.HARD: (Named("b"), Named("c", "v"))}


@pytest.mark.parametrize(
    ("shape", "raw", "field"),
    [
        (Shape.MODEL_CONFIGS, [], "entry"),
        (Shape.MODEL_CONFIGS, {"model": "m"}, "provider"),
        (Shape.MODEL_CONFIGS, {"provider": "p"}, "model"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": 7}, "model"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m" * 300}, "model"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m\x00"}, "model"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m", "tier": "gold"}, "tier"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m", "input_price": "-1"}, "input_price"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m", "input_price": "NaN"}, "input_price"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m", "input_price": True}, "input_price"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m", "input_price": []}, "input_price"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m", "is_active": "perhaps"}, "is_active"),
        (Shape.MODEL_CONFIGS, {"provider": "p", "model": "m", "is_active": ["yes"]}, "is_active"),
        (Shape.AGGREGATOR_MODELS, {"provider": "p", "model_id": "m", "context_window": "many"}, "context_window"),
        (Shape.AGGREGATOR_MODELS, {"provider": "p", "model_id": "m", "context_window": 0}, "context_window"),
        (Shape.FALLBACK_CHAINS, {"name": "c", "models": []}, "models"),
        (Shape.FALLBACK_CHAINS, {"name": "c", "models": "gpt"}, "models"),
        (Shape.FALLBACK_CHAINS, {"name": "c", "models": ["gpt"]}, "models.0"),
        (Shape.FALLBACK_CHAINS, {"name": "c", "models": [{"vendor": "v"}]}, "models.0.model"),
        (Shape.FALLBACK_CHAINS, {"name": "c", "models": [{"model": "m", "protocol": "soap"}]}, "models.0.protocol"),
        (Shape.FALLBACK_CHAINS, {"models": [{"model": "m"}]}, "name"),
        (Shape.COMPLEXITY_ROUTING, {"models": {}}, "models"),
        (Shape.COMPLEXITY_ROUTING, {"models": {"brutal": "m"}}, "models.brutal"),
        (Shape.COMPLEXITY_ROUTING, {"models": {"easy": "m", "simple": "n"}}, "models.simple"),
        (Shape.COMPLEXITY_ROUTING, {"models": {"easy": [7]}}, "models.easy.0"),
    ],
)
def test_an_entry_that_can_not_be_meant_names_the_field(shape: Shape, raw: object, field: str) -> None:
    with pytest.raises(EntryMalformedError) as refused:
        read_entry(shape, raw)

    assert refused.value.field == field


def test_a_csv_file_is_read_line_by_line_with_json_in_its_cells() -> None:
    body = '\ufeffname,models\r\nprod,"[{""model"": ""m""}]"\r\n'.encode()

    (entry,) = read_csv(body, Shape.FALLBACK_CHAINS)

    assert (entry.place, entry.told) == ("line 2", {"name": "prod", "models": [{"model": "m"}]})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b'{"fallback_chains": [{"name": "a"', "line 1, column"),
        ('[{"name": "é"}]'.encode("latin-1"), "UTF-8 at byte 11"),
        (b'{"fallback_chains": [], "name": "\xff"}', "UTF-8 at byte 33"),
        (b'"text"', "array"),
        (b'{"chains": []}', "'chains'"),
        (b'{"fallback_chains": {}}', "'fallback_chains'"),
        (b"[" * 200_000, "nested"),
        (b"[]" + b"x", "column 3"),
        (b"[" + b"1," * MOST_ENTRIES + b"1]", str(MOST_ENTRIES)),
    ],
)
def test_a_json_file_that_can_not_be_read_says_where(body: bytes, says: str) -> None:
    shape = Shape.FALLBACK_CHAINS if body[:1] == b"[" else None

    with pytest.raises(FileMalformedError, match=says):
        read_json(body, shape)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"name,models\nprod", "line end"),
        (b"name,models\nprod\n", "line 2"),
        (b"name,models\nprod,x,y\n", "line 2"),
        (b'name,models\nprod,"[{""model"": ""m"n', "line"),
        (b'name,models\nprod,"[{""model"""\n', "line 2"),
        ("name,models\né,x".encode("utf-16"), "UTF-8"),
    ],
)
def test_a_csv_file_that_can_not_be_read_says_where(body: bytes, says: str) -> None:
    with pytest.raises(FileMalformedError, match=says):
        read_csv(body, Shape.FALLBACK_CHAINS)


def test_an_array_or_a_table_needs_to_be_told_what_it_holds() -> None:
    for read, body in ((read_json, b"[]"), (read_csv, b"name\nx\n")):
        with pytest.raises(FileMalformedError, match="shape"):
            read(body, None)
