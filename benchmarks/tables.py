"""What a measurement answers: a table for people and figures for programs, and how both are made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

type Say = Callable[[str], None]
"""Prints a line of progress."""


@dataclass(frozen=True, slots=True)
class Table:
    """The result of one measurement; the first column names what each row is about."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    figures: dict[str, Any]

    def markdown(self) -> str:
        """Write it for the page."""
        rules = ["---", *["---:"] * (len(self.columns) - 1)]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.columns, rules, *self.rows))


def quantile(values: Sequence[float], share: float) -> float:
    """Answer the smallest value that at least that share of them does not exceed (nearest rank)."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def median(values: Sequence[float]) -> float:
    """Answer the nearest rank's median."""
    return quantile(values, 0.5)


def judged(aim: str, *, is_met: bool) -> str:
    """Say an aim and whether it was met."""
    return f"{aim}: {'met' if is_met else '**missed**'}"


def between_markers(page: str, name: str, block: str) -> str:
    """Replace what stands between the markers of that name.

    Raises:
        ValueError: the page has no such markers.
    """
    begin, end = f"<!-- {name}: measured -->\n", f"<!-- {name}: end -->"
    before, after = page.index(begin) + len(begin), page.index(end)
    return f"{page[:before]}\n{block}\n\n{page[after:]}"
