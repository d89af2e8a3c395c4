import re
import runpy
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from time import thread_time
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.router.complexity.classifier import BASE, THRESHOLDS, WEIGHTS, classify
from modelbus.router.complexity.features import Prompt, features_of
from modelbus.router.complexity.prompts import read_prompt
from modelbus.router.domain.levels import LEVELS

SAMPLES = Path(__file__).parent / "samples"
LONG = 16 * 1024
ENGLISH = ("Explain why the sky is blue. " * LONG)[:LONG]


class Sample(NamedTuple):
    level: str
    language: str
    text: str


def samples_of(name: str) -> list[Sample]:
    rows = (line.split("\t") for line in (SAMPLES / name).read_text(encoding="utf-8").splitlines())
    return [Sample(level, language, text.replace("\\n", "\n")) for level, language, text in rows]


FITTED, HELD_OUT = samples_of("prompts.tsv"), samples_of("prompts_held_out.tsv")


def distances(samples: list[Sample]) -> list[int]:
    """By how many levels each is found to be harder than it is labelled."""
    found = [classify(Prompt(sample.text)).level for sample in samples]
    return [LEVELS.index(level) - LEVELS.index(sample.level) for level, sample in zip(found, samples, strict=True)]


def test_the_samples_are_many_and_none_is_in_both_sets() -> None:
    texts = [sample.text for sample in FITTED + HELD_OUT]
    languages = Counter(sample.language for sample in FITTED + HELD_OUT)

    assert len(set(texts)) == len(texts) >= 300
    assert {"en", "zh", "de", "es", "fr", "ru", "ja"} <= {one for one, count in languages.items() if count >= 20}
    assert {sample.level for sample in HELD_OUT} == set(LEVELS)


def test_the_weights_are_those_that_are_fitted() -> None:
    fitting = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "classifier.py"))

    model = fitting["fit"](fitting["read_samples"]("prompts.tsv"))

    # Sums of floating-point numbers differ a little from machine to machine.
    assert model.weights.keys() == WEIGHTS.keys()
    assert [model.base, *model.weights.values()] == pytest.approx([BASE, *WEIGHTS.values()], abs=0.002)
    assert model.thresholds == pytest.approx(THRESHOLDS, abs=0.011)


def test_prompts_that_were_held_out_are_classified_as_well_as_the_documentation_says() -> None:
    off = distances(HELD_OUT)

    assert sum(each == 0 for each in off) / len(off) >= 0.75
    assert sum(abs(each) <= 1 for each in off) / len(off) >= 0.97


@pytest.mark.parametrize("language", ["en", "zh", "de", "es", "fr", "ru", "ja"])
def test_no_language_that_it_has_words_of_is_much_worse_than_the_others(language: str) -> None:
    off = distances([sample for sample in FITTED + HELD_OUT if sample.language == language])

    assert sum(each == 0 for each in off) / len(off) >= 0.7


@pytest.mark.parametrize("level", LEVELS)
def test_no_level_is_taken_for_another_most_of_the_time(level: str) -> None:
    off = distances([sample for sample in HELD_OUT if sample.level == level])

    assert sum(each == 0 for each in off) / len(off) >= 0.6


def test_a_verdict_shows_what_made_it() -> None:
    verdict = classify(Prompt("Prove that the sum of two even numbers is even, and explain why."))

    assert BASE + sum(verdict.shares.values()) == pytest.approx(verdict.score, abs=0.01)
    assert {"proof", "reasoning", "length"} <= verdict.shares.keys()
    assert list(verdict.shares.values()) == sorted(verdict.shares.values(), key=lambda share: -abs(share))


@pytest.mark.parametrize(
    "surrounded",
    [Prompt("What is this?", turns=9), Prompt("What is this?", tools=4), Prompt("What is this?", attached=2)],
)
def test_what_surrounds_a_prompt_makes_it_harder(surrounded: Prompt) -> None:
    assert classify(surrounded).score > classify(Prompt("What is this?")).score


@given(
    st.builds(
        Prompt,
        st.text(max_size=5000),
        turns=st.integers(1, 10**6),
        tools=st.integers(0, 10**6),
        attached=st.integers(0, 10**6),
    )
)
def test_scores_and_features_stay_between_0_and_1_whatever_is_asked(prompt: Prompt) -> None:
    verdict = classify(prompt)

    assert 0 <= verdict.score <= 1
    assert all(0 <= value <= 1 for value in verdict.features.values())
    assert verdict.level == LEVELS[sum(verdict.score >= threshold for threshold in THRESHOLDS)]


def test_thresholds_of_the_catalog_decide_where_levels_begin() -> None:
    prompt = Prompt("Write a polite email to my landlord.")

    levels = [classify(prompt, [begins + each / 100 for each in range(4)]).level for begins in (0.0, 0.97)]

    assert levels == ["expert", "trivial"]


def test_the_middle_of_a_long_prompt_is_not_looked_at_but_its_length_counts() -> None:
    ask = "Summarise this report in one sentence: "
    dull, deep = (ask + word * (60_000 // len(word)) + " That was the report." for word in ("dull ", "prove "))

    assert features_of(Prompt(dull))["length"] == 1 > features_of(Prompt(ask + "dull " * 580))["length"]
    assert features_of(Prompt("dull " * 500 + deep + "dull " * 500))["proof"] == 0


@pytest.mark.parametrize(
    ("beginning", "repeated"),
    list(product(("", "Explain why: "), ("\n", "1 ", " ", "`", "为什么", "(", "a(", "\\a", "prove ", "é", "<"))),
)
def test_no_text_of_16_kb_takes_long_however_hostile(beginning: str, repeated: str) -> None:
    prompt = Prompt((beginning + repeated * LONG)[:LONG])

    assert min(_compared(partial(classify, prompt)) for _ in range(5)) < 4


@pytest.mark.parametrize("language", ["en", "zh", "de", "es", "fr", "ru", "ja"])
def test_what_people_ask_in_16_kb_of_json_is_read_and_classified_in_no_time_per_letter(language: str) -> None:
    asked = "\n\n".join(sample.text for sample in FITTED + HELD_OUT if sample.language == language)
    text = (asked * (LONG // len(asked.encode()) + 1)).encode()[:LONG].decode(errors="ignore")
    body = msgspec.json.encode({"messages": [{"role": "user", "content": text}]})
    fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])

    assert median(_compared(lambda: classify(read_prompt(fields))) for _ in range(51)) < 1


def _compared(work: Callable[[], object]) -> float:
    """Answer the work's time by that of looking at each letter of 16 KB of English: about a millisecond."""
    return _seconds(work) / _seconds(lambda: [letter.lower() for letter in re.findall(r"\w", ENGLISH)])


def _seconds(work: Callable[[], object]) -> float:
    begun = thread_time()
    work()
    return thread_time() - begun
