"""How inputs say what a caller may use and how much of it, and how answers show it."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from modelbus.catalog.api.references import each_once
from modelbus.catalog.api.views import Input, View
from modelbus.catalog.domain.consumers import written

_LARGEST = 2_147_483_647

RequestsPerMinute = Annotated[int, Field(ge=1, le=_LARGEST, description="Requests per minute; null sets no limit.")]
TokensPerMinute = Annotated[int, Field(ge=1, le=_LARGEST, description="Tokens per minute; null sets no limit.")]
AtOnce = Annotated[int, Field(ge=1, le=_LARGEST, description="Requests at the same time; null sets no limit.")]
Amount = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=6, description="USD.")]
LONGEST_SCOPE_SET = 1000
ScopeSet = Annotated[list[UUID], Field(min_length=1, max_length=LONGEST_SCOPE_SET), AfterValidator(each_once)]


class Budgets(Input):
    """What may be charged in each period, in USD; a period that is left out has no budget."""

    day: Amount | None = None
    week: Amount | None = None
    """From Monday on; days, weeks and months are those of the calendar in UTC."""
    month: Amount | None = None
    total: Amount | None = None

    def kept(self) -> dict[str, str]:
        """Answer them as they are kept."""
        return written(self.model_dump())


class BudgetsView(View):
    """What may be charged in each period, in USD; null is no budget."""

    day: str | None = None
    week: str | None = None
    month: str | None = None
    total: str | None = None
