"""Amounts and moments as callers write them: bounded to what can be meant, and each field named that is not."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field

from modelbus.catalog.api.views import Input, View
from modelbus.catalog.domain.price_adjustments import DEAREST
from modelbus.catalog.domain.prices import Amounts

EARLIEST, LATEST = 2000, 2999

PerTokens = Annotated[
    Decimal,
    Field(
        ge=0,
        le=DEAREST["input"],
        max_digits=18,
        decimal_places=9,
        allow_inf_nan=False,
        description="USD per million tokens; at most 10000, as whoever writes more means another unit.",
    ),
]
PerPiece = Annotated[
    Decimal,
    Field(
        ge=0,
        le=DEAREST["request"],
        max_digits=18,
        decimal_places=9,
        allow_inf_nan=False,
        description="USD each; at most 1000.",
    ),
]


class ChargeAmounts(Input):
    """Amounts in USD; null is unknown, and zero is a price."""

    input: PerTokens | None = None
    output: PerTokens | None = None
    cached_input: PerTokens | None = None
    cache_write: PerTokens | None = None
    reasoning: PerTokens | None = None
    request: PerPiece | None = None
    image: PerPiece | None = None

    def amounts(self) -> Amounts:
        """Answer them as the domain takes them."""
        return Amounts.read(self.model_dump())


class CostAmounts(ChargeAmounts):
    """What a supplier bills, in USD; null is unknown, and zero is a price."""

    is_dynamic: bool = False
    """The supplier decides the price per call and lists none."""

    def told(self) -> dict[str, Any]:
        """Answer them as a source keeps them."""
        return self.amounts().told()


class AmountsView(View):
    """Amounts in USD, as decimal strings; null is unknown, and zero is a price."""

    input: Decimal | None
    output: Decimal | None
    cached_input: Decimal | None
    cache_write: Decimal | None
    reasoning: Decimal | None
    request: Decimal | None
    image: Decimal | None
    is_dynamic: bool


def _in_bounds(moment: datetime) -> datetime:
    if not EARLIEST <= moment.year <= LATEST:
        raise ValueError(f"must be in the years {EARLIEST} to {LATEST}")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_in_bounds)]
"""A moment with its time zone, shown in UTC."""
