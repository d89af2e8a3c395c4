"""Times in a listing: whatever can't be the date of a model's life is unknown."""

from datetime import UTC, datetime

# Zero times, as `0001-01-01` and `1970-01-01` are written by some servers, must not retire a model.
EARLIEST, LATEST = 2015, 2100


def read_moment(given: object) -> datetime | None:
    """Read a date (its first moment, in UTC) or a time as ISO 8601 writes them; None when it is neither."""
    if not isinstance(given, str):
        return None
    try:
        moment = datetime.fromisoformat(given.strip())
    except ValueError:
        return None
    if not EARLIEST <= moment.year < LATEST:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
