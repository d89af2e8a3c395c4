"""What each flavour makes of what its suppliers answer; where the samples come from is written beside them."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import HeldPrices, Life, ListedModel
from modelbus.sync.clients.answers import parse
from modelbus.sync.clients.costs import UNIT_NOT_TOLD
from modelbus.sync.clients.entries import Fetched
from modelbus.sync.clients.flavours import aihubmix, anthropic, file, gemini, heroku, ollama, openai, openrouter
from modelbus.sync.domain.errors import UnusableAnswerError

SAMPLES = Path(__file__).parent / "samples"


def document(name: str) -> Any:
    return parse((SAMPLES / name).read_bytes())


def by_name(fetched: Fetched) -> dict[str, ListedModel]:
    return {model.upstream_name: model for model in fetched.models}


def csv_file(text: str) -> Fetched:
    return file.read_file("text/csv; charset=utf-8", text.encode())


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_mistral_tells_abilities_and_what_replaces_a_model() -> None:
    [model] = openai.read_listing(document("mistral_constructed.json")).models

    assert (model.context_window, model.capabilities) == (32768, ["tools"])
    assert model.life == Life(deprecated_at=datetime(2025, 6, 16, 12, tzinfo=UTC), replacement="mistral-small-latest")


def test_prices_without_a_unit_wait_for_review_and_zero_is_zero_in_any_unit() -> None:
    paid, free = openai.read_listing(document("together_constructed.json")).models

    price = Decimal("0.88")
    assert paid.cost == CostPrices()
    assert paid.held == HeldPrices(listed=CostPrices(input=price, output=price), reason=UNIT_NOT_TOLD)
    assert (free.cost, free.held) == (CostPrices(input=Decimal(0), output=Decimal(0)), None)


def test_a_model_that_is_listed_as_not_active_is_left_out() -> None:
    fetched = openai.read_listing({"data": [{"id": "a", "active": False}, {"id": "b", "active": True}]})

    assert [model.upstream_name for model in fetched.models] == ["b"]
    assert [(entry.upstream_name, entry.reason) for entry in fetched.left_out] == [("a", "it is listed as not active")]


def test_openrouter_tells_abilities_modalities_and_the_last_day() -> None:
    models = by_name(openrouter.read_listing(document("openrouter_constructed.json")))

    thinking = models["anthropic/claude-3.7-sonnet:thinking"]
    assert (thinking.modalities, thinking.model_type) == ("text+image+file->text", "multimodal")
    assert thinking.capabilities == ["documents", "reasoning", "tools", "vision"]
    assert thinking.life == Life(retires_at=day("2026-05-05"))
    assert thinking.cost == CostPrices(
        input=Decimal(3), output=Decimal(15), cached_input=Decimal("0.3"), cache_write=Decimal("3.75")
    )


def test_openrouter_s_free_dynamic_and_unknown_prices_are_three_things() -> None:
    models = by_name(openrouter.read_listing(document("openrouter_constructed.json")))

    assert models["qwen/qwen3-coder:free"].cost == CostPrices(input=Decimal(0), output=Decimal(0))
    assert models["openrouter/auto"].cost == CostPrices(is_dynamic=True)
    [silent] = openrouter.read_listing({"data": [{"id": "a"}]}).models
    assert silent.cost == CostPrices()


def test_abilities_that_openrouter_does_not_list_are_unknown_and_not_none() -> None:
    old, new = openrouter.read_listing({"data": [{"id": "a"}, {"id": "b", "supported_parameters": []}]}).models

    assert (old.capabilities, new.capabilities) == (None, [])


def test_a_name_that_says_thinking_reasons() -> None:
    [model] = openrouter.read_listing({"data": [{"id": "a:thinking", "supported_parameters": []}]}).models

    assert model.capabilities == ["reasoning"]


def test_aihubmix_writes_lists_as_texts_and_prices_as_numbers() -> None:
    models = by_name(aihubmix.read_listing(document("aihubmix_constructed.json")))

    claude = models["claude-sonnet-4-5"]
    assert (claude.context_window, claude.max_output_tokens, claude.model_type) == (1000000, 64000, "multimodal")
    assert claude.capabilities == ["reasoning", "structured_output", "tools", "vision"]
    assert claude.cost == CostPrices(
        input=Decimal("3.3"), output=Decimal("16.5"), cached_input=Decimal("0.33"), cache_write=Decimal("4.125")
    )
    deepseek = models["DeepSeek-R1"]
    assert (deepseek.max_output_tokens, deepseek.capabilities) == (None, None)
    assert deepseek.cost == CostPrices(input=Decimal("0.4"), output=Decimal(2))
    assert models["coding-kimi-k3-free"].cost == CostPrices(input=Decimal(0), output=Decimal(0))


def test_a_negative_price_is_unknown_where_it_is_not_said_to_be_dynamic() -> None:
    entry = {"model_id": "a", "types": "llm", "pricing": {"input": -1, "output": 2}}
    [model] = aihubmix.read_listing({"data": [entry]}).models

    assert model.cost == CostPrices(output=Decimal(2))


@pytest.mark.parametrize(
    ("types", "model_type"),
    [
        ("llm", "language"),
        ("embedding", "embedding"),
        ("image_generation", "image"),
        ("tts", "audio"),
        ("x", None),
    ],
)
def test_aihubmix_s_types_are_ours(types: str, model_type: str | None) -> None:
    [model] = aihubmix.read_listing({"data": [{"model_id": "a", "types": types}]}).models

    assert model.model_type == model_type


def test_what_aihubmix_says_instead_of_a_listing_is_the_reason() -> None:
    with pytest.raises(UnusableAnswerError, match="it says quota exceeded"):
        aihubmix.read_listing({"success": False, "message": "quota exceeded", "data": None})


def test_anthropic_tells_sizes_and_abilities() -> None:
    models = by_name(anthropic.read_listing(document("anthropic.json")))

    opus = models["claude-opus-4-6"]
    assert (opus.display_name, opus.model_type) == ("Claude Opus 4.6", "multimodal")
    assert (opus.context_window, opus.max_output_tokens) == (1000000, 128000)
    assert opus.capabilities == ["documents", "reasoning", "structured_output", "tools", "vision"]
    assert "structured_output" not in (models["claude-opus-4-20250514"].capabilities or [])
    assert opus.cost == CostPrices()


def test_a_retired_model_that_anthropic_still_lists_has_its_dates() -> None:
    [model] = anthropic.read_listing(document("anthropic_lifecycle_constructed.json")).models

    assert model.life == Life(deprecated_at=day("2025-06-30"), retires_at=day("2026-01-05"))
    assert model.capabilities is None


def test_gemini_s_names_lose_their_prefix_and_methods_tell_the_type() -> None:
    fetched = gemini.read_listing(document("gemini_constructed.json"))

    models = by_name(fetched)
    types = {name: model.model_type for name, model in models.items()}
    assert types == {
        "gemini-2.5-flash": "language",
        "gemini-embedding-001": "embedding",
        "imagen-4.0-generate-001": "image",
    }
    flash = models["gemini-2.5-flash"]
    assert (flash.display_name, flash.context_window, flash.max_output_tokens) == ("Gemini 2.5 Flash", 1048576, 65536)
    assert [(entry.upstream_name, entry.reason) for entry in fetched.left_out] == [
        ("aqa", "it is asked by none of the methods that are known")
    ]


def test_ollama_s_latest_is_the_name_without_a_tag() -> None:
    fetched = ollama.read_listing(document("ollama.json"))

    assert [model.upstream_name for model in fetched.models] == ["codellama:13b", "llama3"]
    assert {model.cost for model in fetched.models} == {CostPrices()}


@pytest.mark.parametrize(
    ("details", "model_type"),
    [
        ({"families": ["llama", "clip"]}, "multimodal"),
        ({"family": "nomic-bert", "families": None}, "embedding"),
        ({"family": "llama"}, "language"),
        (None, "language"),
        ([], "language"),
    ],
)
def test_ollama_s_families_tell_the_type(details: object, model_type: str) -> None:
    [model] = ollama.read_listing({"models": [{"name": "x:7b", "details": details}]}).models

    assert model.model_type == model_type


def test_heroku_tells_when_a_model_ends_and_what_comes_after_it() -> None:
    models = by_name(heroku.read_listing(document("heroku.json")))

    haiku = models["claude-3-5-haiku"]
    assert haiku.life == Life(
        deprecated_at=day("2026-05-12"), retires_at=day("2026-06-12"), replacement="claude-4-5-haiku"
    )
    assert models["amazon-rerank-1-0"].model_type == "rerank"
    assert models["claude-3-haiku"].life is None


def test_a_csv_file_tells_everything_in_columns() -> None:
    fetched = file.read_file("text/csv", (SAMPLES / "file_constructed.csv").read_bytes())

    large, embed, plain = fetched.models
    assert (large.context_window, large.max_output_tokens, large.display_name) == (128000, 8192, "House Large")
    assert large.cost == CostPrices(input=Decimal("2.5"), output=Decimal(10))
    assert large.capabilities == ["tools", "vision"]
    assert large.life == Life(retires_at=day("2027-01-31"), replacement="house-larger")
    assert (embed.model_type, embed.cost) == (None, CostPrices(input=Decimal("0.02")))
    assert plain.held == HeldPrices(listed=CostPrices(input=Decimal("1.5"), output=Decimal(6)), reason=UNIT_NOT_TOLD)


def test_a_json_file_tells_the_same() -> None:
    large, draw = file.read_file("application/json", (SAMPLES / "file_constructed.json").read_bytes()).models

    assert large.cost == CostPrices(input=Decimal("2.5"), output=Decimal(10))
    assert (large.model_type, large.modalities) == ("multimodal", "text+image->text")
    assert large.life == Life(deprecated_at=datetime(2026, 6, 30, 10, tzinfo=UTC))
    assert (draw.model_type, draw.cost) == ("image", CostPrices(image=Decimal("0.04")))


def test_a_file_of_no_type_is_read_by_how_it_begins() -> None:
    assert [model.upstream_name for model in file.read_file("text/plain", b' [{"id": "a"}]').models] == ["a"]
    assert [model.upstream_name for model in file.read_file("", b"\xef\xbb\xbfid\r\nb\r\n").models] == ["b"]


def test_a_line_that_is_no_entry_is_left_out_with_the_reason() -> None:
    fetched = csv_file("id,price_unit,model_type\na,per_dozen,\nb,,chatty\nc\nd,,\n,,\n")

    assert [model.upstream_name for model in fetched.models] == ["d"]
    assert [entry.reason for entry in fetched.left_out] == [
        "its price_unit is per_dozen, and none of per_million, per_thousand, per_token",
        f"its model_type is chatty, and none of {', '.join(file.TYPES)}",
        "it is not an object",
        "it has no id",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the file is empty"),
        ("id\n", "the listing is empty"),
        ("name,price\na,1\n", "the first line names no column 'id' but name, price"),
        ('id\n"a\n', "the file is not valid CSV"),
        (f"id\n{'x' * 200_000}\n", "the file is not valid CSV: field larger than field limit"),
    ],
)
def test_a_file_that_is_no_listing_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(UnusableAnswerError, match=reason):
        csv_file(text)


def test_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(UnusableAnswerError, match="the file is not UTF-8"):
        file.read_file("text/csv", b"id\n\xff\n")


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.iterdir() if path.suffix != ".md"))
def test_the_origin_of_every_sample_is_written_down(name: str) -> None:
    assert name in (SAMPLES / "README.md").read_text()
