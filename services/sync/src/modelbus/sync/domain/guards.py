"""How wary the guard is of one supplier, where that is other than of all."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from modelbus.sync.domain.suspicions import Thresholds


@dataclass(frozen=True, slots=True)
class Guard:
    """Thresholds of a supplier's own; None means the same as for all."""

    supplier_id: UUID
    most_lost_share: float | None
    most_growth: float | None
    most_doubles: int | None
    minds_declared: bool | None
    set_by: str
    set_at: datetime

    def over(self, usual: Thresholds) -> Thresholds:
        """Answer the thresholds that hold for the supplier."""
        named = ("most_lost_share", "most_growth", "most_doubles", "minds_declared")
        own = {name: value for name in named if (value := getattr(self, name)) is not None}
        return replace(usual, **own)
