"""Whether a supplier answers, judged over several looks: one lost packet, or one lucky one, says nothing."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class Health(StrEnum):
    """What is seen of a supplier right now."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"


class Way(StrEnum):
    """How a look was had."""

    TRAFFIC = "traffic"
    """A router called it for a caller: no better look is to be had, and it costs nothing."""
    LISTING = "listing"
    """The head of the answer to what its flavour asks for a listing."""
    CONNECT = "connect"
    """HEAD of its base URL, where there is no listing to ask for."""
    TOKEN = "token"  # noqa: S105 - of a model, not of a person
    """A completion of a token or so."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look showed."""

    way: Way
    is_ok: bool
    """True for any answer, refusals included: only silence and 5xx tell of a supplier that does not serve."""
    latency_ms: int | None = None
    reason: str | None = None
    """What was in the way, or which refusal the answer was; in our words."""


@dataclass(frozen=True, slots=True)
class Look:
    """A look and when it was had."""

    at: datetime
    way: str
    is_ok: bool
    latency_ms: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Rule:
    """How many looks a verdict takes."""

    window: int
    """As many looks count."""
    failures: int
    """So many bad ones among them are `down`."""
    successes: int
    """So many good ones in a row bring it back."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One supplier as it is seen."""

    supplier_id: UUID
    base_url: str
    """Where the looks went: those at another place say nothing of this one."""
    is_local: bool
    health: str
    since: datetime
    """From when on it has this health."""
    due_at: datetime
    looks: tuple[Look, ...] = ()
    """The last ones that count, the newest last."""
    last_ok_at: datetime | None = None
    traffic_ok_at: datetime | None = None
    traffic_failed_at: datetime | None = None
    told_health: str = Health.UNKNOWN
    """What the world was told last."""
    told_at: datetime | None = None

    @property
    def seen_at(self) -> datetime | None:
        """Answer when it was last looked at."""
        return self.looks[-1].at if self.looks else None

    @property
    def reason(self) -> str | None:
        """Answer what was last in the way; None while it is well."""
        if self.health not in {Health.DEGRADED, Health.DOWN}:
            return None
        return next((look.reason for look in reversed(self.looks) if not look.is_ok), None)

    @property
    def failing_since(self) -> datetime | None:
        """Answer when the unbroken row of bad looks began; None while the last one was good."""
        began = None
        for look in reversed(self.looks):
            if look.is_ok:
                break
            began = look.at
        return began

    def see(self, seen: Seen, at: datetime, rule: Rule, *, may_fall: bool = True) -> "Watch":
        """Take in a look; one that is older than the last says nothing new.

        Where it may not fall, the worst that it becomes is `degraded`.
        """
        if self.seen_at is not None and at <= self.seen_at:
            return self
        look = Look(at, seen.way, seen.is_ok, seen.latency_ms, seen.reason)
        looks = (*self.looks, look)[-rule.window :]
        looked = replace(self, looks=looks, last_ok_at=at if seen.is_ok else self.last_ok_at)
        verdict = judge(self.health, [each.is_ok for each in looks], rule)
        is_fall = verdict == Health.DOWN != self.health
        return looked.turn(Health.DEGRADED if is_fall and not may_fall else verdict, at)

    def turn(self, health: Health, at: datetime) -> "Watch":
        """Have that health from then on."""
        return self if health == self.health else replace(self, health=health, since=at)

    def is_served_by_traffic(self, since: datetime) -> bool:
        """Tell whether callers were served since then, and none was let down after."""
        if self.traffic_ok_at is None or self.traffic_ok_at < since:
            return False
        return self.traffic_failed_at is None or self.traffic_failed_at < self.traffic_ok_at


def judge(before: str, looks: list[bool], rule: Rule) -> Health:
    """Answer the health after these looks, the newest last.

    A first good look is believed at once; what is down comes back only by a row of them.
    """
    if not looks:
        return Health.UNKNOWN
    failed = looks.count(False)
    if all(looks[-rule.successes :]) and (len(looks) >= rule.successes or not failed):
        return Health.HEALTHY
    if failed >= rule.failures or before == Health.DOWN:
        return Health.DOWN
    return Health.DEGRADED if failed else Health.HEALTHY
