"""How a model stands to its price: whether one is in force, and whether there is anything to pay it for."""

from enum import StrEnum


class PriceState(StrEnum):
    """How a model stands to its price."""

    PRICED = "priced"
    PENDING = "pending"
    ORPHANED = "orphaned"


def state_of(*, is_available: bool, is_priced: bool) -> PriceState | None:
    """Answer how a model stands to its price; None where it is not available and has none."""
    if is_priced:
        return PriceState.PRICED if is_available else PriceState.ORPHANED
    return PriceState.PENDING if is_available else None
