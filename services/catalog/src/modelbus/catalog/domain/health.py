"""What several observers say of a supplier and its sources, summed up to the health of each source."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from modelbus.catalog.domain.sources import Health

_GROWING_WORSE = (Health.UNKNOWN, Health.HEALTHY, Health.DEGRADED, Health.DOWN)


@dataclass(frozen=True, slots=True)
class Claim:
    """What one observer says of a source, or of all sources of a supplier."""

    subject_id: UUID
    """The source's id, or the supplier's."""
    observer: str
    supplier_id: UUID
    health: str
    since: datetime
    observed_at: datetime
    reason: str | None
    is_settled: bool
    """False while it has yet to be looked at what follows from it."""

    @property
    def is_of_supplier(self) -> bool:
        """Tell whether it is about all sources of the supplier."""
        return self.subject_id == self.supplier_id


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is held of a source, and from when on."""

    health: Health = Health.UNKNOWN
    since: datetime | None = None

    def unhealthy_at(self, patience: timedelta) -> datetime | None:
        """Answer from when on it is out of service; None where it stays. No patience at all means for ever."""
        return self.since + patience if self.health == Health.DOWN and self.since and patience else None


@dataclass(frozen=True, slots=True)
class Terms:
    """What is made of claims."""

    patience: timedelta
    """A source that is down for so long is out of service; none at all leaves it in."""
    expires: timedelta
    """A claim that nobody repeats for so long holds no more."""


def sum_up(claims: Iterable[Claim], now: datetime, expires: timedelta) -> Verdict:
    """Sum up what observers say of one thing: what all say, `degraded` where they differ."""
    held = [each for each in claims if each.observed_at > now - expires and each.health != Health.UNKNOWN]
    if not held:
        return Verdict()
    healths = {each.health for each in held}
    health = Health(healths.pop()) if len(healths) == 1 else Health.DEGRADED
    return Verdict(health, max(each.since for each in held))


def worse(first: Verdict, second: Verdict) -> Verdict:
    """Answer the worse of two; of equals the one that holds for longer."""
    ranks = _GROWING_WORSE.index(first.health), _GROWING_WORSE.index(second.health)
    if ranks[0] == ranks[1] and first.since and second.since:
        return first if first.since <= second.since else second
    return first if ranks[0] > ranks[1] else second


def read_health(word: str) -> Health:
    """Read the word of an observer; one that a newer observer may use is unknown here."""
    return Health(word) if word in set(Health) else Health.UNKNOWN
