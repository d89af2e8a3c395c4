"""What a supplier's status means for the request, the credential and the source."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto

REJECTED_S = 300.0
COOLED_S = 20.0
LONGEST_COOLED_S = 3600.0


class Verdict(Enum):
    """What follows from a status."""

    SERVED = auto()
    CALLERS_FAULT = auto()
    """The same request fails everywhere: the caller is told as it is."""
    REJECTED = auto()
    """The credential is not good: another one, and not this one again for a while."""
    COOLED = auto()
    """The credential has had enough for now."""
    FAILED = auto()
    """The source can't serve this now: another one."""


_VERDICTS = {
    **dict.fromkeys(range(200, 300), Verdict.SERVED),
    **dict.fromkeys((400, 413, 415, 422), Verdict.CALLERS_FAULT),
    **dict.fromkeys((401, 402, 403), Verdict.REJECTED),
    429: Verdict.COOLED,
}


def judge(status: int) -> Verdict:
    """Judge the status; whatever is not listed is the source's failure, an unknown upstream model (404) included."""
    return _VERDICTS.get(status, Verdict.FAILED)


def cooling_s(retry_after: str | None, now: datetime) -> float:
    """Answer how long to leave a credential alone, from the Retry-After header (RFC 9110, section 10.2.3)."""
    if not retry_after:
        return COOLED_S
    try:
        wished = float(retry_after) if retry_after.isdecimal() else _until(retry_after, now)
    except (ValueError, OverflowError):
        return COOLED_S
    return min(max(wished, 0.0), LONGEST_COOLED_S)


def _until(date: str, now: datetime) -> float:
    at = parsedate_to_datetime(date)
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
