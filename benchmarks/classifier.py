"""Fits the weights of `auto`'s classifier to labelled prompts, and measures how well and how fast it classifies."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from time import perf_counter
from typing import NamedTuple

import msgspec
from msgspec import Raw

from modelbus.router.complexity import classifier
from modelbus.router.complexity.features import Prompt, features_of
from modelbus.router.complexity.prompts import read_prompt
from modelbus.router.domain.levels import LEVELS

SAMPLES = Path(__file__).resolve().parents[1] / "tests" / "router" / "samples"
_RIDGE = 0.3
_SWEEPS = 500
_LEAST = 0.03
"""What a feature counts at least: few samples are no proof that it means nothing."""
_EASIER = frozenset(("brevity", "errand"))
"""Features that make a request easier; all others make it harder."""
_FOLDS = 5
_CALLS = 200
_CHARACTERS = 16 * 1024
_PATTERNS = {
    "English": "Explain why the design of distributed systems needs consensus; compare two protocols. ",
    "Chinese": "解释为什么分布式系统的设计需要一致性协议，并比较两种方案的优缺点。",  # noqa: RUF001 - it is Chinese
    "code": "def merge(a, b):\n    return {x.id: x for x in a if x.price >= b[0].price}\n",
}


class Sample(NamedTuple):
    """A prompt with the level that a person gave it."""

    level: int
    language: str
    text: str


class Model(NamedTuple):
    """What is fitted."""

    base: float
    weights: Mapping[str, float]
    thresholds: tuple[float, ...]

    def level(self, features: Mapping[str, float]) -> int:
        """Answer the place of the level."""
        score = _score(self.base, self.weights, features)
        return sum(score >= threshold for threshold in self.thresholds)


type Confusion = list[list[int]]


def read_samples(name: str) -> list[Sample]:
    r"""Read labelled prompts: level, language, and text, in which \n stands for a line break."""
    lines = (SAMPLES / name).read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return [Sample(LEVELS.index(level), language, text.replace("\\n", "\n")) for level, language, text in rows]


def fit(samples: Sequence[Sample]) -> Model:
    """Fit to the middles of five equal bands of the score, then take the thresholds that err least."""
    features = [features_of(Prompt(sample.text)) for sample in samples]
    names = [name for name in features[0] if name not in classifier.SET_BY_HAND]
    rows = [[1.0, *(each[name] for name in names)] for each in features]
    signs = [-1 if name in _EASIER else 1 for name in names]
    wanted = [0.1 + 0.2 * sample.level for sample in samples]
    base, *weights = (round(weight, 3) for weight in _ridge(rows, wanted, signs))
    weighed = dict(zip(names, weights, strict=True))
    scores = [(_score(base, weighed, each), sample.level) for each, sample in zip(features, samples, strict=True)]
    return Model(base, weighed, tuple(_threshold(scores, level) for level in range(1, len(LEVELS))))


def confusion(samples: Sequence[Sample], level_of: Callable[[Sample], int]) -> Confusion:
    """Count how often which level was taken for which."""
    counts = [[0] * len(LEVELS) for _ in LEVELS]
    for sample in samples:
        counts[sample.level][level_of(sample)] += 1
    return counts


def cross_validated(samples: Sequence[Sample], groups: Iterable[Sequence[int]]) -> Confusion:
    """Fit without each group in turn, and classify it."""
    total = [[0] * len(LEVELS) for _ in LEVELS]
    for group in groups:
        left_out = set(group)
        model = fit([sample for at, sample in enumerate(samples) if at not in left_out])
        counts = confusion([samples[at] for at in group], _classified_by(model))
        total = [[one + other for one, other in zip(*rows, strict=True)] for rows in zip(total, counts, strict=True)]
    return total


def accuracy(counts: Confusion, within: int = 0) -> float:
    """Answer the share that is right, or wrong by no more than so many levels."""
    pairs = [(abs(one - other), count) for one, row in enumerate(counts) for other, count in enumerate(row)]
    return sum(count for distance, count in pairs if distance <= within) / sum(count for _, count in pairs)


def _classified_by(model: Model) -> Callable[[Sample], int]:
    return lambda sample: model.level(features_of(Prompt(sample.text)))


def _as_committed(sample: Sample) -> int:
    return LEVELS.index(classifier.classify(Prompt(sample.text)).level)


def _score(base: float, weights: Mapping[str, float], features: Mapping[str, float]) -> float:
    return base + sum(weight * features[name] for name, weight in weights.items())


def _threshold(scores: Sequence[tuple[float, int]], level: int) -> float:
    """Answer where the level is best divided from those below it; of equally good places the middle one."""
    places = [step / 100 for step in range(101)]
    errors = [sum((score >= place) != (labelled >= level) for score, labelled in scores) for place in places]
    best = [place for place, count in zip(places, errors, strict=True) if count == min(errors)]
    return best[len(best) // 2]


def _ridge(rows: Sequence[Sequence[float]], wanted: Sequence[float], signs: Sequence[int]) -> list[float]:
    """Descend coordinate by coordinate; each weight keeps its sign, so that each reason can be believed.

    The first column is the base, which is free and not held small.
    """
    size = range(len(rows[0]))
    gram = [[sum(row[one] * row[other] for row in rows) for other in size] for one in size]
    aims = [sum(row[one] * target for row, target in zip(rows, wanted, strict=True)) for one in size]
    weights = [0.0 for _ in size]
    for _ in range(_SWEEPS):
        for at in size:
            rest = aims[at] - sum(gram[at][other] * weights[other] for other in size if other != at)
            best = rest / (gram[at][at] + (_RIDGE if at else 0.0))
            weights[at] = best if at == 0 else signs[at - 1] * max(best * signs[at - 1], _LEAST)
    return weights


def _show(title: str, counts: Confusion) -> None:
    print(f"\n{title}: {accuracy(counts):.1%} right, {accuracy(counts, 1):.1%} within one level")
    print("labelled \\ found", *(f"{level:>8}" for level in LEVELS))
    for level, row in zip(LEVELS, counts, strict=True):
        print(f"{level:>16}", *(f"{count:>8}" for count in row))


def _show_by_language(samples: Sequence[Sample]) -> None:
    for language in sorted({sample.language for sample in samples}):
        counts = confusion([sample for sample in samples if sample.language == language], _as_committed)
        print(f"  {language}: {accuracy(counts):.0%} of {sum(map(sum, counts))}")


def _show_speed() -> None:
    print(f"\n{_CHARACTERS} characters, read from a request and classified:")
    for name, pattern in _PATTERNS.items():
        text = (pattern * _CHARACTERS)[:_CHARACTERS]
        fields = {"messages": Raw(msgspec.json.encode([{"role": "user", "content": text}]))}
        times = []
        for _ in range(_CALLS):
            begun = perf_counter()
            classifier.classify(read_prompt(fields))
            times.append(perf_counter() - begun)
        times.sort()
        print(f"  {name}: {times[_CALLS // 2] * 1000:.2f} ms, p99 {times[_CALLS * 99 // 100] * 1000:.2f} ms")


def main() -> None:
    """Print the weights, what they are worth, and what they cost."""
    samples, held_out = read_samples("prompts.tsv"), read_samples("prompts_held_out.tsv")
    model = fit(samples)
    print(f"BASE = {model.base}\nWEIGHTS = {model.weights}\nTHRESHOLDS = {model.thresholds}")
    order = list(range(len(samples)))
    Random(1).shuffle(order)  # noqa: S311 - folds are no secret
    languages = {sample.language for sample in samples}
    by_language = [[at for at, sample in enumerate(samples) if sample.language == each] for each in sorted(languages)]
    _show("fitted", confusion(samples, _as_committed))
    _show(f"cross-validated, {_FOLDS} folds", cross_validated(samples, [order[at::_FOLDS] for at in range(_FOLDS)]))
    _show("cross-validated, a language left out", cross_validated(samples, by_language))
    _show("held out", confusion(held_out, _as_committed))
    _show_by_language(held_out)
    _show_speed()


if __name__ == "__main__":
    main()
