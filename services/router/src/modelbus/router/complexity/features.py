"""What can be seen of a prompt in any language: how long it is, what stands in it, how much it asks for at once."""

import re
from math import log2
from typing import NamedTuple

from modelbus.router.complexity.vocabulary import STEMS, Sense

_HEAD, _TAIL = 2000, 1000
"""Characters that are looked at: what is asked stands at the beginning or at the end, between is what it is about."""
_WORDS = re.compile(r"[^\W\d_]+")
_DENSE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_CODE = re.compile(r"```|[{};]\s|[=!<>]=|\(\)|->|\w\(\w*\)|::|</\w|#include")
_MATHS = re.compile(r"[∑∫√≤≥≠∈∀∃αβγελμσθ^]|\\[a-z]+\{|\b[a-z]\(x\)|\d\s*[-+*/=]\s*\d")
_SEPARATORS = re.compile(r"[,;:，；：、。]|\n[ \t]*[-*\d]")  # noqa: RUF001 - it is Chinese
_NUMBERS = re.compile(r"\d+")
_DENSE_WORD = 0.6
"""A character of a script without spaces says about as much as that many words."""
_LETTERS_A_WORD = 6
_SOME_WORDS = 60
_SHORT = 4
_DENSE_STEMS = tuple((stem, sense) for stem, sense in STEMS.items() if _DENSE.match(stem))


def _by_beginning() -> dict[str, tuple[tuple[str, Sense], ...]]:
    """Put the stems, the longest first, under the two letters that most words are sorted out by."""
    found: dict[str, tuple[tuple[str, Sense], ...]] = {}
    for stem, sense in sorted(STEMS.items(), key=lambda one: -len(one[0])):
        found[stem[:2]] = (*found.get(stem[:2], ()), (stem, sense))
    return found


_BY_BEGINNING = _by_beginning()


class Prompt(NamedTuple):
    """What is asked, and around it."""

    text: str
    """What the user said last."""
    opening: str = ""
    """What the user said first, if that is another message."""
    turns: int = 1
    """How many messages of the user there are."""
    tools: int = 0
    attached: int = 0
    """Images and files in the last message."""


def features_of(prompt: Prompt) -> dict[str, float]:
    """Answer each feature from 0 to 1; they grow with the logarithm of what they count."""
    text = prompt.text
    low = (text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}\n{text[-_TAIL:]}").lower()
    dense = _DENSE.findall(low)
    dense_size = sum(map(len, dense))
    words = (len(low) - dense_size) / _LETTERS_A_WORD + dense_size * _DENSE_WORD
    words *= len(text) / max(len(low), 1)
    senses = _senses(low, dense)
    return {
        "length": _grown(words, 10),
        "some_length": min(words / _SOME_WORDS, 1.0),
        "brevity": float(words < _SHORT),
        "code": _grown(len(_CODE.findall(low)), 5),
        "maths": _grown(len(_MATHS.findall(low)) + senses[Sense.MATHS], 4),
        "reasoning": _grown(senses[Sense.REASONING], 3),
        "proof": _grown(senses[Sense.PROOF], 3),
        "depth": _grown(senses[Sense.DEPTH], 3),
        "making": _grown(senses[Sense.MAKING], 3),
        "errand": _grown(senses[Sense.ERRAND], 2),
        "parts": _grown(len(_SEPARATORS.findall(low)), 5),
        "numbers": _grown(len(_NUMBERS.findall(low)), 4),
        "turns": _grown(prompt.turns - 1, 6),
        "tools": _grown(prompt.tools, 6),
        "attached": _grown(prompt.attached, 4),
    }


def _senses(low: str, dense: list[str]) -> list[int]:
    """Count the words of each sense; by their beginnings, so that their forms count alike."""
    counted = [0] * len(Sense)
    for word in _WORDS.findall(low):
        for stem, sense in _BY_BEGINNING.get(word[:2], ()):
            if word.startswith(stem):
                counted[sense] += 1
                break
    if dense:
        text = " ".join(dense)
        for stem, sense in _DENSE_STEMS:
            counted[sense] += text.count(stem)
    return counted


def _grown(count: float, doublings: int) -> float:
    return min(log2(1 + count) / doublings, 1.0)
