"""How much of what was asked lately went to a target."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

RECENT = timedelta(hours=24)
"""So far back usage is counted."""
EVERYTHING = UUID(int=0)
"""Stands for all targets where usage is counted."""


@dataclass(frozen=True, slots=True)
class Use:
    """Requests by which a supplier was asked."""

    requests: int = 0
    failures: int = 0
    """Of these, where an attempt at the target failed."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a target has of all requests."""

    requests: int
    of: int
    """Never 0: where nobody asked, there is no share."""

    @property
    def part(self) -> float:
        """Answer it as a number from 0 to 1."""
        return self.requests / self.of
