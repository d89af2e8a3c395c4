"""What is refused to who sets prices."""

from datetime import datetime
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.errors import Refusal


class PriceOverlapError(Refusal):
    """Another price is in force within the wanted period, or will be."""

    code = "price_overlap"

    def __init__(self, price_id: UUID, begins: datetime, ends: datetime | None) -> None:
        until = "on" if ends is None else f"until {told(ends)}"
        super().__init__(
            f"valid_from, valid_until: price {str(price_id)!r} is in force from {told(begins)} {until};"
            " end before it begins, or change or delete it first"
        )
        self.errors = [{"field": "valid_from", "message": "must leave out the periods of other prices"}]
        self.findings: list[dict[str, Any]] = [
            {
                "kind": "price",
                "id": str(price_id),
                "valid_from": told(begins),
                "valid_until": None if ends is None else told(ends),
                "message": "is in force within that period",
            }
        ]


class PriceInPastError(Refusal):
    """What was in force stays as it was: past requests are priced by it."""

    code = "price_in_past"

    def __init__(self, field: str, now: datetime) -> None:
        super().__init__(f"{field}: this time has passed, and what was in force then is history")
        self.errors = [{"field": field, "message": f"must not be before {told(now)}; leave it out for at once"}]


class PriceBegunError(Refusal):
    """A price that has been in force is history, and can only be followed by another."""

    code = "price_begun"

    def __init__(self, price_id: UUID, begins: datetime, remedy: str) -> None:
        super().__init__(
            f"price {str(price_id)!r} is in force since {told(begins)}, and requests were priced by it; {remedy}"
        )


class PriceOverError(Refusal):
    """A price that has ended, or was withdrawn before it began, is history."""

    code = "price_over"

    def __init__(self, price_id: UUID) -> None:
        super().__init__(f"price {str(price_id)!r} is over or was withdrawn: it is history; set a new price instead")


class PriceNotBegunError(Refusal):
    """A price that is not in force yet can't end now."""

    code = "price_not_begun"

    def __init__(self, price_id: UUID, begins: datetime) -> None:
        super().__init__(f"price {str(price_id)!r} begins only at {told(begins)}; delete it instead")


class PricePeriodEmptyError(Refusal):
    """A price would end before it begins."""

    code = "price_period_empty"

    def __init__(self, begins: datetime) -> None:
        super().__init__(f"valid_until: the price would end before it begins, at {told(begins)}")
        self.errors = [{"field": "valid_until", "message": f"must be after {told(begins)}"}]


class PriceUnknownError(Refusal):
    """A price that names no amount is none."""

    code = "price_unknown"

    def __init__(self, field: str = "prices") -> None:
        super().__init__(f"{field}: none of the amounts is known; name at least one")
        self.errors = [{"field": field, "message": "must hold at least one amount"}]


class DynamicChargeError(Refusal):
    """A charge is known before the call; only a supplier may decide per call."""

    code = "dynamic_charge"

    def __init__(self) -> None:
        super().__init__("prices.is_dynamic: only what a source costs may be decided per call, not a model's charge")
        self.errors = [{"field": "prices.is_dynamic", "message": "must be false for a model"}]


class ScheduleFullError(Refusal):
    """Too many prices wait to come into force."""

    code = "schedule_full"

    def __init__(self, most: int) -> None:
        super().__init__(f"at most {most} prices may be in force or to come; delete some that are to come first")


def told(moment: datetime) -> str:
    """Write a moment as the API shows it."""
    return moment.isoformat().replace("+00:00", "Z")
