"""The periods of budgets: days, weeks from Monday on, and months of the calendar in UTC, and all time."""

from datetime import UTC, date, datetime, timedelta

DAY, WEEK, MONTH, TOTAL = "day", "week", "month", "total"
LONGEST_DAYS = 31
"""Of any period that ends."""


def first_day(period: str, today: date) -> date:
    """Answer the first day of the period that has begun; of all time, the first that there is."""
    match period:
        case "day":
            return today
        case "week":
            return today - timedelta(days=today.weekday())
        case "month":
            return today.replace(day=1)
        case _:
            return date.min


def ends_in_s(period: str, now: datetime) -> float | None:
    """Answer in how many seconds the period is over; None for all time."""
    today = now.date()
    match period:
        case "day":
            next_day = today + timedelta(days=1)
        case "week":
            next_day = first_day(WEEK, today) + timedelta(days=7)
        case "month":
            next_day = (today.replace(day=1) + timedelta(days=LONGEST_DAYS + 1)).replace(day=1)
        case _:
            return None
    return (datetime(next_day.year, next_day.month, next_day.day, tzinfo=UTC) - now).total_seconds()
