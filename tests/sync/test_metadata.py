"""Metadata files: what is read in them, which of it is about a listed model, and what becomes of it."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import HeldPrices, ListedModel
from modelbus.sync.actions.enrichment import enrich, providers_of, reference_prices
from modelbus.sync.clients.metadata_shapes import MODELS_DEV, PRICE_MAP, Read, read_metadata
from modelbus.sync.domain.errors import UnusableAnswerError
from modelbus.sync.domain.metadata import Asked, Entry, Facts, Match, Shelf
from sync.catalog_stand_in import a_supplier

SAMPLES = Path(__file__).parent / "samples"
NOBODY: frozenset[str] = frozenset()


def sample(name: str) -> Read:
    return read_metadata((SAMPLES / f"{name}_constructed.json").read_bytes())


def by_title(read: Read) -> dict[str, Entry]:
    return {entry.title: entry for entry in read.entries}


def a_shelf(*entries: Entry, name: str = "file") -> Shelf:
    return Shelf(name, entries)


def window(title: str, tokens: int, **prices: str) -> Entry:
    provider, _, name = title.partition("/")
    amounts = {price: Decimal(amount) for price, amount in prices.items()}
    return Entry(provider, name, Facts(context_window=tokens), amounts)


def found(shelf: Shelf, name: str, providers: frozenset[str] = NOBODY, public: str | None = None) -> Match:
    match = shelf.find(Asked(name, public or name, providers))
    assert match is not None
    return match


def test_models_dev_is_read_in_usd_per_million() -> None:
    read = sample("models_dev")

    entries = by_title(read)
    assert (read.shape, read.left_out, len(entries)) == (MODELS_DEV, 1, 4)
    gpt, mistral = entries["openai/gpt-4o"], entries["mistral/mistral-large"]
    assert gpt.prices == {"input": Decimal("2.5"), "output": Decimal(10), "cached_input": Decimal("1.25")}
    assert gpt.facts == Facts(
        display_name="GPT-4o",
        model_type="multimodal",
        context_window=128000,
        max_output_tokens=16384,
        modalities="text+image->text",
        capabilities=("structured_output", "tools", "vision"),
        knowledge_cutoff=date(2023, 9, 1),
    )
    assert entries["openai/text-embedding-3-small"].facts.model_type == "embedding"
    # What is no price, or no size, is unknown.
    assert (mistral.prices, mistral.facts.max_output_tokens, mistral.facts.capabilities) == ({}, None, None)
    assert (mistral.facts.knowledge_cutoff, mistral.facts.model_type) == (date(2024, 11, 30), None)


def test_a_price_map_is_read_in_usd_per_token() -> None:
    read = sample("price_map")

    entries = by_title(read)
    assert (read.shape, read.left_out, len(entries)) == (PRICE_MAP, 1, 4)
    gpt, image = entries["openai/gpt-4o"], entries["openai/dall-e-3"]
    assert gpt.prices == {"input": Decimal("2.5"), "output": Decimal(10), "cached_input": Decimal("1.25")}
    assert (gpt.facts.model_type, gpt.facts.capabilities) == ("language", ("tools", "vision"))
    assert gpt.facts.deprecated_at == datetime(2030, 5, 13, tzinfo=UTC)
    assert (image.facts.model_type, image.prices) == ("image", {"image": Decimal("0.04")})
    assert entries["openrouter/openai/gpt-4o"].facts.capabilities is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the body is empty"),
        (b"[]", "no object of providers or models"),
        (b"{}", "holds no model"),
        (b'{"a": 1, "b": {"models": 3}}', "holds no model"),
        (b'{"openai": {"models": {"gpt": ', "not valid JSON"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(UnusableAnswerError, match=reason):
        read_metadata(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
told = st.dictionaries(
    st.sampled_from(
        [
            *("name", "cost", "limit", "modalities", "knowledge", "tool_call", "mode", "deprecation_date"),
            *("input_cost_per_token", "max_input_tokens", "supported_modalities", "supports_vision"),
        ]
    ),
    json_values,
    max_size=6,
)


@given(told)
@settings(max_examples=50)
def test_whatever_an_entry_holds_is_read_or_passed_over(entry: dict[str, Any]) -> None:
    nested, plain = {"p": {"models": {"m": entry}}}, {"m": {**entry, "litellm_provider": "p"}}

    entries = [read_metadata(json.dumps(document).encode()).entries for document in (nested, plain)]

    assert [[each.title for each in found] for found in entries] == [["p/m"], ["p/m"]]
    for [each] in entries:
        CostPrices.model_validate(each.prices)


def test_the_suppliers_own_entry_goes_before_the_makers_and_that_before_all_of_the_name() -> None:
    shelf = a_shelf(
        window("openrouter/openai/gpt", 1, input="3"), window("openai/gpt", 2, input="2"), window("x/gpt", 2)
    )

    own = found(shelf, "openai/gpt", frozenset({"openrouter"}))
    maker = found(shelf, "openai/gpt")
    anybody = found(shelf, "proxy/gpt")

    assert (own.facts.context_window, own.is_exact, own.is_own, own.prices) == (1, True, True, {"input": Decimal(3)})
    assert (maker.facts.context_window, maker.is_exact, maker.is_own) == (2, True, False)
    assert (anybody.is_exact, anybody.prices, anybody.disputed) == (False, {}, ("context_window",))
    assert found(shelf, "gpt", public="openai/gpt").title == "openai/gpt"


def test_entries_that_contradict_each_other_are_not_used_in_that_field() -> None:
    one = Entry("a", "m", Facts(context_window=1, max_output_tokens=5))
    other = Entry("b", "m", Facts(context_window=2, max_output_tokens=5))

    match = found(a_shelf(one, other, *(window(f"p{n}/m", 1) for n in range(4))), "m")

    assert (match.facts, match.disputed) == (Facts(max_output_tokens=5), ("context_window",))
    assert match.title == "a/m, b/m, p0/m and 3 more"


@pytest.mark.parametrize(
    "name", ["gpt-4o-2024-08-06", "gpt-4o-20240806", "gpt-4o@20240806", "GPT-4o-0806", "gpt-4o-001", "gpt-4o-latest"]
)
def test_a_state_of_a_model_that_no_file_knows_is_read_as_the_model(name: str) -> None:
    entry = Entry("openai", "gpt-4o", Facts(display_name="GPT-4o", context_window=5), {"input": Decimal(1)})

    match = found(a_shelf(entry), name, frozenset({"openai"}))

    assert (match.facts, match.is_exact, match.is_own, match.prices) == (Facts(context_window=5), False, False, {})


@pytest.mark.parametrize("name", ["gpt-4", "gpt-4o-mini", "gpt-4o-9999", "gpt-4o-2024", "4o", "gpt"])
def test_another_model_is_not_the_model(name: str) -> None:
    assert a_shelf(window("openai/gpt-4o", 5)).find(Asked(name, name, frozenset({"openai"}))) is None


def test_a_variant_of_a_model_has_its_sizes_and_not_its_price() -> None:
    match = found(a_shelf(window("openai/gpt-4o", 5, input="1")), "openai/gpt-4o:free", frozenset({"openai"}))

    assert (match.facts.context_window, match.is_exact, match.prices) == (5, False, {})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "team", "base_url": "https://api.openai.com/v1", "flavour": "openai"}, {"team", "openai"}),
        ({"name": "Mistralai", "base_url": "http://10.0.0.1/v1", "flavour": "file"}, {"mistral"}),
        (
            {"name": "g", "namespace": "google", "base_url": "https://googleapis.com", "flavour": "gemini"},
            {"g", "google", "googleapis"},
        ),
    ],
)
def test_a_supplier_is_found_by_name_namespace_flavour_and_host(fields: dict[str, Any], expected: set[str]) -> None:
    assert providers_of(a_supplier(**fields)) == expected


def openai(**fields: Any) -> Any:
    mine: dict[str, Any] = {"base_url": "https://api.openai.com/v1", "name": "mine", "flavour": "openai"}
    return a_supplier(**mine | {"is_local": False} | fields)


def test_what_a_listing_leaves_out_is_told_beside_it_in_the_order_of_the_files() -> None:
    shelves = [Shelf("models.dev", sample("models_dev").entries), Shelf("prices", sample("price_map").entries)]

    [model], background = enrich(shelves, openai(), [ListedModel(upstream_name="gpt-4o")])

    assert model.cost == CostPrices(input="2.5", output="10", cached_input="1.25")
    assert [(each.file, each.entry, each.is_exact, each.tells_cost) for each in background] == [
        ("models.dev", "openai/gpt-4o", True, True),
        ("prices", "openai/gpt-4o", True, False),
    ]
    assert background[0].capabilities == ["structured_output", "tools", "vision"]
    assert (background[0].knowledge_cutoff, background[1].deprecated_at) == (
        date(2023, 9, 1),
        datetime(2030, 5, 13, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("supplier", "fields"),
    [
        (openai(is_local=True), {}),
        (openai(base_url="https://proxy.example/v1"), {}),
        (openai(base_url="https://proxy.example/v1"), {"upstream_name": "openai/gpt-4o"}),
        (openai(), {"cost": CostPrices(input="0")}),
        (openai(), {"cost": CostPrices(is_dynamic=True)}),
        (openai(), {"held": HeldPrices(listed=CostPrices(input="9"), reason="doubt")}),
    ],
)
def test_a_price_is_taken_only_for_that_very_offer_where_the_listing_tells_none(
    supplier: Any, fields: dict[str, Any]
) -> None:
    listed = ListedModel(**{"upstream_name": "gpt-4o", **fields})

    [model], background = enrich([Shelf("f", sample("models_dev").entries)], supplier, [listed])

    assert model == listed
    assert not any(each.tells_cost for each in background)


def test_a_price_from_a_file_stays_marked_while_listed_ones_are_held() -> None:
    cost = CostPrices(input="2.5", output="10", cached_input="1.25")
    held = HeldPrices(listed=CostPrices(input="900"), reason="doubt")

    [model], [background] = enrich(
        [Shelf("f", sample("models_dev").entries)],
        openai(),
        [ListedModel(upstream_name="gpt-4o", cost=cost, held=held)],
    )

    assert (model.cost, background.tells_cost) == (cost, True)


def test_the_type_is_guessed_from_the_name_only_where_nobody_tells_it() -> None:
    listed = [
        ListedModel(upstream_name="nomic-embed-text"),
        ListedModel(upstream_name="told-embed-text", model_type="rerank"),
        ListedModel(upstream_name="chat"),
    ]

    models, background = enrich([], openai(), listed)

    assert models == listed
    assert [(each.upstream_name, each.file, each.model_type) for each in background] == [
        ("nomic-embed-text", None, "embedding")
    ]


def test_prices_of_the_maker_are_what_listed_ones_are_compared_with() -> None:
    shelves = [
        a_shelf(window("openai/gpt", 1)),
        a_shelf(window("openai/gpt", 1, input="2"), window("x/other", 1, input="1")),
    ]

    prices = reference_prices(shelves, openai(base_url="https://proxy.example"), ["openai/gpt", "other", "none"])

    assert prices == {"openai/gpt": {"input": Decimal(2)}}
