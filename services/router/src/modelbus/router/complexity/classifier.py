"""How hard a request is: a weighted sum of what can be seen of its prompt, and four thresholds.

The weights are fitted to labelled prompts by `benchmarks/classifier.py`, which also measures how well they do; those of
turns, tools and attachments are set by hand, because single prompts say nothing of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelbus.router.complexity.features import Prompt, features_of
from modelbus.router.domain.levels import LEVELS

BASE = 0.108
WEIGHTS: Mapping[str, float] = {
    "length": 0.678,
    "some_length": 0.15,
    "brevity": -0.116,
    "code": 0.03,
    "maths": 0.194,
    "reasoning": 0.197,
    "proof": 0.387,
    "depth": 0.03,
    "making": 0.113,
    "errand": -0.087,
    "parts": 0.03,
    "numbers": 0.047,
}
SET_BY_HAND: Mapping[str, float] = {"turns": 0.05, "tools": 0.1, "attached": 0.05}
THRESHOLDS = (0.21, 0.41, 0.57, 0.76)
"""Scores at which easy, medium, hard and expert begin, unless the catalog says otherwise."""

_ALL = {**WEIGHTS, **SET_BY_HAND}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request was found to be, and by what."""

    level: str
    score: float
    """From 0 to 1."""
    features: Mapping[str, float]
    """Each from 0 to 1, by name."""

    @property
    def shares(self) -> dict[str, float]:
        """Answer what each feature adds to the score or takes from it, the greatest first; the rest is the base."""
        shares = {name: round(_ALL[name] * value, 3) for name, value in self.features.items() if value}
        return dict(sorted(shares.items(), key=lambda share: -abs(share[1])))


def classify(prompt: Prompt, thresholds: Sequence[float] = THRESHOLDS) -> Verdict:
    """Classify a request."""
    features = features_of(prompt)
    score = min(max(BASE + sum(_ALL[name] * value for name, value in features.items()), 0.0), 1.0)
    return Verdict(LEVELS[sum(score >= threshold for threshold in thresholds)], score, features)
