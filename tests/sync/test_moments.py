"""Moments and modalities in listings: what is nonsense says nothing."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.sync.domain.modalities import abilities_by, read_modalities, type_by, words_of
from modelbus.sync.domain.moments import read_moment


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-06-12", datetime(2026, 6, 12, tzinfo=UTC)),
        ("2026-06-12T00:00:00Z", datetime(2026, 6, 12, tzinfo=UTC)),
        (" 2026-06-12T02:00:00+02:00 ", datetime(2026, 6, 12, tzinfo=UTC)),
        ("2026-06-12T00:00:00", datetime(2026, 6, 12, tzinfo=UTC)),
    ],
)
def test_dates_and_times_are_read_as_utc(written: str, moment: datetime) -> None:
    read = read_moment(written)

    assert read == moment
    assert read is not None
    assert read.tzinfo == UTC


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "never",
        "0001-01-01T00:00:00Z",
        "1970-01-01",
        "9999-12-31T23:59:59-14:00",
        "2026-13-01",
        1781222400,
        None,
        {},
    ],
)
def test_what_can_not_be_the_date_of_a_model_is_unknown(nonsense: object) -> None:
    assert read_moment(nonsense) is None


@given(st.text(max_size=40))
def test_no_text_breaks_the_reading_of_dates(text: str) -> None:
    read_moment(text)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("text,image", ["text", "image"]),
        ("Tools; vision |a", ["tools", "vision", "a"]),
        (["Text", 7, " image "], ["text", "image"]),
        ("", []),
        (None, []),
        ({"a": 1}, []),
    ],
)
def test_words_come_from_lists_and_from_texts(written: object, words: list[str]) -> None:
    assert words_of(written) == words


def test_modalities_have_one_order_and_one_word_each() -> None:
    assert read_modalities(["pdf", "video", "smell", "text", "document"]) == ["text", "video", "file"]
    assert read_modalities("embeddings") == ["embedding"]


@pytest.mark.parametrize(
    ("taken", "given_", "able"),
    [
        (
            ["text", "image", "audio", "video", "file"],
            ["text"],
            {"vision", "audio_input", "video_understanding", "documents"},
        ),
        (["text", "image"], ["image"], {"image_generation"}),
        (["text"], ["audio"], {"text_to_speech"}),
        (["audio"], ["text"], {"speech_to_text"}),
        (["text"], ["embedding"], {"embeddings"}),
        ([], [], set()),
    ],
)
def test_modalities_tell_what_a_model_can_do(taken: list[str], given_: list[str], able: set[str]) -> None:
    assert abilities_by(taken, given_) == able


def test_a_model_of_which_nothing_is_said_has_no_type_told() -> None:
    assert type_by([], []) is None
