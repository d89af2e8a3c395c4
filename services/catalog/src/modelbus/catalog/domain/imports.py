"""What came of each entry of an import."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from modelbus.catalog.domain.older_shapes import Shape


class Outcome(StrEnum):
    """What was done for an entry, or why nothing was."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    """Everything it says is so already."""
    AMBIGUOUS = "ambiguous"
    """What it names may mean several things."""
    UNMATCHED = "unmatched"
    """What it names is not there."""
    REFUSED = "refused"
    """It can't be meant, or the catalog does not take it."""


@dataclass(frozen=True, slots=True)
class Line:
    """What came of one entry."""

    shape: Shape
    place: str
    """Where it is in the file: `fallback_chains.3`, `line 7`."""
    entry: str
    """What it is about."""
    outcome: Outcome
    message: str = ""
    target_ids: tuple[UUID, ...] = ()
    """The models, sources, chains or routings that it led to."""
    near: tuple[str, ...] = ()
    """What it may have meant."""


def count_outcomes(lines: Iterable[Line]) -> dict[Outcome, int]:
    """Count the entries by what came of them, each outcome named."""
    counted = Counter(line.outcome for line in lines)
    return {outcome: counted[outcome] for outcome in Outcome}
