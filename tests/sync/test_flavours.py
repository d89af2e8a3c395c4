"""Flavours: listings as suppliers write them, in our words."""

import json
from collections.abc import Callable
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.catalog.domain.suppliers import Flavour
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.answers import parse
from modelbus.sync.clients.flavours import (
    find_flavours,
    openai,
    openrouter,
)
from modelbus.sync.domain.errors import UnusableAnswerError

FLAVOURS: tuple[Any, ...] = tuple(find_flavours().values())
SAMPLES = Path(__file__).parent / "samples"


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


def recording(date: str) -> Any:
    file = resources.files("modelbus.simulator") / "recordings" / f"openrouter_models_{date}.json"
    return json.loads(file.read_bytes())


def an_entry(**fields: Any) -> dict[str, Any]:
    return {"id": "a/b", "pricing": {"prompt": "0.000001", "completion": "0.000002"}, **fields}


def read_one(**fields: Any) -> ListedModel:
    [model] = openrouter.read_listing({"data": [an_entry(**fields)]}).models
    return model


def test_what_the_catalog_knows_by_itself_can_be_read() -> None:
    assert set(find_flavours()) >= {*Flavour}


def test_openai_reads_a_list_with_zero_created() -> None:
    fetched = openai.read_listing(sample("cerebras"))

    assert [model.upstream_name for model in fetched.models] == ["gemma-4-31b", "gpt-oss-120b", "zai-glm-4.7"]
    # It says nothing of types; the catalog takes them for language, and a metadata file may know better.
    assert {model.model_type for model in fetched.models} == {None}
    assert fetched.left_out == []


def test_openai_needs_nothing_but_the_id() -> None:
    [model] = openai.read_listing({"data": [{"id": "gpt-4o"}]}).models

    assert model == ListedModel(upstream_name="gpt-4o")


def test_openai_reads_a_bare_list() -> None:
    chat, embedding = openai.read_listing(sample("bare_list_constructed")).models

    assert (chat.context_window, chat.display_name, chat.model_type) == (32768, "Qwen2.5 7B Instruct", None)
    assert (embedding.context_window, embedding.model_type) == (512, None)


@pytest.mark.parametrize(
    ("name", "context", "output"), [("vllm_constructed", 131072, None), ("groq_constructed", 131072, 32768)]
)
def test_openai_reads_the_sizes_of_compatible_servers(name: str, context: int, output: int | None) -> None:
    [model] = openai.read_listing(sample(name)).models

    assert (model.context_window, model.max_output_tokens) == (context, output)


@pytest.mark.parametrize("size", [0, -1, "131072", True, 2**31, 1.5, None])
def test_a_size_that_is_none_is_unknown(size: object) -> None:
    [model] = openai.read_listing({"data": [{"id": "a", "context_window": size}]}).models

    assert model.context_window is None


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"data": []}, "the listing is empty"),
        ([], "the listing is empty"),
        ({"object": "list"}, "no list of models"),
        ({"data": {"id": "a"}}, "no list of models"),
        ({"error": {"message": "quota"}}, "quota"),
        ("models", "no list of models"),
        (None, "no list of models"),
        ({"data": [{}, {"id": ""}]}, "none of the 2 entries"),
    ],
)
def test_what_is_no_listing_is_refused_with_the_reason(document: object, reason: str) -> None:
    with pytest.raises(UnusableAnswerError, match=reason):
        openai.read_listing(document)


def test_a_listing_of_another_shape_is_refused() -> None:
    with pytest.raises(UnusableAnswerError, match="it has no id"):
        openai.read_listing(sample("heroku"))


def test_entries_without_a_usable_id_are_left_out_with_the_reason() -> None:
    entries = [
        {"id": "a"},
        {"name": "x"},
        {"id": 7},
        {"id": " "},
        {"id": "b\x00c"},
        {"id": "a"},
        "gpt",
        {"id": "y" * 201},
    ]

    fetched = openai.read_listing({"data": entries})

    assert [model.upstream_name for model in fetched.models] == ["a"]
    assert [(entry.upstream_name[:5], entry.reason) for entry in fetched.left_out] == [
        ("", "it has no id"),
        ("7", "its id is not a string"),
        (" ", "its id is blank"),
        ("b\\x00", "its id holds control or invisible characters"),
        ("a", "its id was listed before"),
        ("", "it is not an object"),
        ("yyyyy", "its id is longer than 200 characters"),
    ]


def test_all_194_models_of_the_earlier_recording_are_listed() -> None:
    document = recording("2024-11-10")

    fetched = openrouter.read_listing(document)

    assert [model.upstream_name for model in fetched.models] == [entry["id"] for entry in document["data"]]
    assert len(fetched.models) == 194
    assert fetched.left_out == []
    assert [model.upstream_name for model in fetched.models if model.cost.is_dynamic] == ["openrouter/auto"]
    assert all(model.cost.input is not None for model in fetched.models if not model.cost.is_dynamic)


def test_all_302_models_of_the_later_recording_are_listed() -> None:
    fetched = openrouter.read_listing(recording("2025-04-23"))

    assert len(fetched.models) == 302
    priced_apart = [model.upstream_name for model in fetched.models if model.cost.reasoning is not None]
    assert priced_apart == ["perplexity/sonar-deep-research"]


def test_a_recorded_model_arrives_whole() -> None:
    models = {model.upstream_name: model for model in openrouter.read_listing(recording("2024-11-10")).models}

    assert models["anthropic/claude-3.5-sonnet"] == ListedModel(
        upstream_name="anthropic/claude-3.5-sonnet",
        display_name="Anthropic: Claude 3.5 Sonnet",
        model_type="multimodal",
        context_window=200000,
        max_output_tokens=8192,
        cost=CostPrices(input=Decimal(3), output=Decimal(15), request=Decimal(0), image=Decimal("0.0048")),
        modalities="text+image->text",
    )
    assert models["raifle/sorcererlm-8x22b"].model_type == "language"


def test_any_negative_price_is_the_supplier_s_to_decide() -> None:
    assert read_one(pricing={"prompt": "-1", "completion": "0.1"}).cost == CostPrices(is_dynamic=True)
    assert read_one(pricing={"prompt": "0.1", "completion": "-0.5"}).cost == CostPrices(is_dynamic=True)


def test_a_malformed_price_is_unknown_and_zero_is_a_price() -> None:
    cost = read_one(pricing={"prompt": "free", "completion": "0", "image": None, "request": {}}).cost

    assert cost == CostPrices(input=None, output=Decimal(0))


@pytest.mark.parametrize("pricing", [None, [], "0", 7])
def test_prices_of_another_shape_are_unknown(pricing: object) -> None:
    assert read_one(pricing=pricing).cost == CostPrices()


def test_prices_as_json_numbers_lose_no_digit() -> None:
    text = b'{"data": [{"id": "a", "pricing": {"prompt": 0.00000012345678901234567, "completion": 1e-7}}]}'

    [model] = openrouter.read_listing(parse(text)).models

    assert (model.cost.input, model.cost.output) == (Decimal("0.12345678901234567"), Decimal("0.1"))


@pytest.mark.parametrize(
    ("modality", "model_type"),
    [
        ("text->text", "language"),
        ("text+image->text", "multimodal"),
        ("text+image+file->text", "multimodal"),
        ("text->image", "image"),
        ("text+image->text+image", "multimodal"),
        ("audio->text", "audio"),
        ("text->audio", "audio"),
        ("text->embeddings", "embedding"),
        ("text->video", "video"),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_the_modality_tells_the_type(modality: object, model_type: str | None) -> None:
    assert read_one(architecture={"modality": modality}).model_type == model_type


def test_lists_of_modalities_come_before_the_arrow() -> None:
    architecture = {"modality": "text->text", "input_modalities": ["text", "image", 7], "output_modalities": ["text"]}

    assert read_one(architecture=architecture).model_type == "multimodal"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    *("id", "name", "model_id", "pricing", "architecture", "top_provider", "context_length", "context_window"),
    *("display_name", "capabilities", "supported_parameters", "supportedGenerationMethods", "details", "features"),
    *("types", "type", "price_unit", "input_price", "model_type", "active", "retires_at", "eol_date", "replacement"),
)
entries = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=len(FIELDS))
pricings = st.dictionaries(st.sampled_from(openrouter.PER_TOKEN + openrouter.PER_PIECE), json_values)
NAMES = {"id": "a", "name": "a", "model_id": "a"}
priced = st.builds(lambda entry, pricing: entry | NAMES | {"pricing": pricing}, entries, pricings)


@given(st.lists(entries | priced | json_values, max_size=4))
def test_no_entry_of_any_shape_breaks_an_adapter_or_is_lost(listed: list[Any]) -> None:
    for flavour in FLAVOURS:
        try:
            fetched = flavour.read_listing(listed)
        except UnusableAnswerError:
            continue
        assert len(fetched.models) + len(fetched.left_out) == len(listed)
        assert all(model.model_dump_json() for model in fetched.models)
        assert "\\u0000" not in "".join(entry.model_dump_json() for entry in fetched.left_out)


def complaint_of(read: Callable[[Any], object], given_value: Any) -> str:
    try:
        read(given_value)
    except UnusableAnswerError as error:
        return str(error)
    return ""


@given(json_values)
def test_no_document_of_any_shape_breaks_an_adapter(document: Any) -> None:
    for flavour in FLAVOURS:
        assert complaint_of(flavour.read_listing, document).isprintable()


@given(st.binary(max_size=40))
def test_bytes_that_are_no_json_are_refused_readably(body: bytes) -> None:
    assert complaint_of(parse, body).isprintable()


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b"1" * 5000, b"[NaN]", b'"\xff"', b'"\\ud800"', b"[1] x", b" ", b'\xef\xbb\xbf["a"', b"{}{}"],
)
def test_hostile_json_is_refused(body: bytes) -> None:
    with pytest.raises(UnusableAnswerError):
        parse(body)


def test_a_number_beyond_reason_is_null_and_not_the_end() -> None:
    assert parse(b"[1e999999999999999999999, 1.50]") == [None, Decimal("1.50")]
