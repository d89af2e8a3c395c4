"""How margins are asked for and shown."""

from decimal import Decimal
from typing import Annotated

from fastapi import Depends, Query

from modelbus.catalog.api.views import View
from modelbus.catalog.domain.errors import InvalidQueryError
from modelbus.catalog.domain.margins import Blend

Share = Annotated[
    Decimal,
    Query(
        ge=0, le=1_000_000, decimal_places=6, description="Tokens of that kind in the blended price: 3 to 1 is usual."
    ),
]


class UnitMarginView(View):
    """What is left of one charge once the supplier has been paid."""

    amount: Decimal
    """USD, in the unit of the price; below zero where the supplier bills more."""
    percent: Decimal | None
    """Of the charge; null where nothing is charged."""


class MarginView(View):
    """What is left by unit; null where either side is unknown, or the supplier decides per call."""

    input: UnitMarginView | None
    output: UnitMarginView | None
    cached_input: UnitMarginView | None
    cache_write: UnitMarginView | None
    reasoning: UnitMarginView | None
    request: UnitMarginView | None
    image: UnitMarginView | None
    blended: UnitMarginView | None
    """Of input and output together; of input alone where neither side has an output."""
    is_negative: bool
    """Whether any unit is charged below its cost."""


async def _read_blend(input_share: Share = Decimal(3), output_share: Share = Decimal(1)) -> Blend:
    if not input_share + output_share:
        raise InvalidQueryError("input_share", "must be above 0 where output_share is 0")
    return Blend(input_share, output_share)


Blended = Annotated[Blend, Depends(_read_blend)]
"""How input and output are blended into one price."""
