"""Names: what can be a model's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.sync.domain.names import display_name, is_embedding, readable, why_unusable


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, "no id"),
        (7, "not a string"),
        ("", "blank"),
        (" \t", "blank"),
        ("x" * 201, "longer than 200"),
        ("gpt\x004", "control"),
        ("gpt\n4", "control"),
        ("gpt\u200b4", "invisible"),
        ("gpt\ud8004", "invisible"),
    ],
)
def test_what_can_not_be_a_name_says_why(name: object, reason: str) -> None:
    assert reason in str(why_unusable(name))


@pytest.mark.parametrize("name", ["gpt-4o", "x" * 200, "meta-llama/llama-3:free", "名前", "a b"])
def test_ordinary_names_are_usable(name: str) -> None:
    assert why_unusable(name) is None


@pytest.mark.parametrize(
    "name", ["text-embedding-3-small", "nomic-embed-text", "cohere-embed-v4", "a/e5-Embedding", "embed", "x:embeddings"]
)
def test_embedding_models_are_told_by_a_whole_word(name: str) -> None:
    assert is_embedding(name)


@pytest.mark.parametrize("name", ["gpt-4o", "embedded-llama", "bge-m3", "reembed2", "membed-x"])
def test_in_doubt_a_model_is_no_embedding_model(name: str) -> None:
    assert not is_embedding(name)


@given(st.text())
def test_whatever_comes_from_outside_can_be_stored_and_shown(text: str) -> None:
    shown = readable(text, 100)

    assert shown.isprintable()
    assert len(shown) <= 100
    assert display_name(text) is None or str(display_name(text)).isprintable()
