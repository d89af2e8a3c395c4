"""What this router has learnt of credentials, itself or from others; it stands beside the table, and survives it."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from modelbus.router.cache.records import Credential

FRESH_S = 10.0
"""Whoever was served with a credential so short a time ago need not be told that it is not accepted."""
_PRUNED_FROM = 1000
_NEVER = float("-inf")

type QuotaWait = Callable[[Credential, float], float]
"""Answers in how many seconds a credential has room within what its supplier allows; 0 where it has."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A credential that a supplier did not accept, or had enough of."""

    credential: Credential
    status: int
    is_cooled: bool
    out_s: float
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


class Standings:
    """Which credentials are out for a while, and which was used how long ago."""

    def __init__(self, quota_wait_s: QuotaWait = lambda _credential, _now: 0.0) -> None:
        self._quota_wait_s = quota_wait_s
        # By id and generation: a credential that gets a new secret, or is reset, is a new chance.
        self._out_until: dict[tuple[UUID, int], float] = {}
        self._heard_at: dict[tuple[UUID, int], float] = {}
        """Of those that others called refused, and that were not tried here since."""
        self._served_at: dict[UUID, float] = {}
        self._forgotten_from = _PRUNED_FROM
        self._untold: dict[tuple[UUID, bool], Refused] = {}
        self._uses = 0
        self._last_use: dict[UUID, int] = {}
        self._turn_ends: dict[UUID, float] = {}
        """Of each credential: a use takes the longer the less it weighs."""
        self._turn_begun: dict[UUID, float] = {}
        """Of each supplier: its last one. Nothing is made up for that somebody had rested before."""

    def put_out(self, credential: Credential, until: float, now: float) -> None:
        """Leave the credential alone until then."""
        if len(self._out_until) >= _PRUNED_FROM:
            self._out_until = {key: end for key, end in self._out_until.items() if end > now}
        self._out_until[credential.id, credential.generation] = until

    def refuse(self, refused: Refused, now: float) -> None:
        """Leave a credential alone that a supplier refused, and keep that for others to hear."""
        credential = refused.credential
        self.put_out(credential, now + refused.out_s, now)
        self._heard_at.pop((credential.id, credential.generation), None)
        if len(self._untold) < _PRUNED_FROM:
            self._untold[credential.id, refused.is_cooled] = refused

    def take_untold(self) -> list[Refused]:
        """Answer what was refused since the last time, the last of each credential."""
        untold, self._untold = self._untold, {}
        return list(untold.values())

    def hear(self, refused: Refused, since: float, now: float) -> bool:
        """Leave a credential alone that another router had refused at `since`; tell whether its word counts.

        It does not where this router knows better: it is out already, or has served here later or, if it is said not to
        be accepted at all, just before. Between two words of others lies a try of one's own: nobody can talk a
        credential out of use for good.
        """
        credential = refused.credential
        served_at = self._served_at.get(credential.id, _NEVER)
        key = (credential.id, credential.generation)
        if self.is_refused(credential, now) or key in self._heard_at:
            return False
        if served_at >= (since if refused.is_cooled else since - FRESH_S):
            return False
        self.put_out(credential, since + refused.out_s, now)
        self._heard_at[key] = since
        return True

    def is_out(self, credential: Credential, now: float) -> bool:
        """Tell whether it is to be left alone: it was refused, or has no room."""
        return self.is_refused(credential, now) or self._quota_wait_s(credential, now) > 0

    def is_refused(self, credential: Credential, now: float) -> bool:
        """Tell whether it is to be left alone for having been refused."""
        return bool(self._out_until) and self._out_until.get((credential.id, credential.generation), now) > now

    def out_for(self, credential: Credential, now: float) -> float:
        """Answer for how many seconds it is to be left alone."""
        refused_for = self._out_until.get((credential.id, credential.generation), now) - now
        return max(refused_for, self._quota_wait_s(credential, now))

    def note_use(self, credential: Credential) -> None:
        """Remember that it was used just now."""
        self._uses += 1
        self._last_use[credential.id] = self._uses
        begun, _ = self.turn(credential)
        self._turn_begun[credential.supplier_id] = begun
        self._turn_ends[credential.id] = begun + 1 / (credential.weight or 1)
        if self._heard_at:
            self._heard_at.pop((credential.id, credential.generation), None)

    def note_served(self, credential: Credential, begun: float) -> None:
        """Remember that a call that began then was served with it, which disproves what others said before."""
        self._served_at[credential.id] = begun
        if self._heard_at:
            key = (credential.id, credential.generation)
            if self._heard_at.get(key, begun) < begun:
                del self._heard_at[key]
                self._out_until.pop(key, None)

    def forget_gone(self, find: Callable[[UUID], Credential | None]) -> None:
        """Let go of credentials that are not found any more, once there are twice as many as there were left before."""
        if len(self._last_use) + len(self._heard_at) < self._forgotten_from:
            return
        known = {each: found for each in self._last_use if (found := find(each)) is not None}
        suppliers = {each.supplier_id for each in known.values()}
        self._last_use = _of(self._last_use, known)
        self._served_at = _of(self._served_at, known)
        self._turn_ends = _of(self._turn_ends, known)
        self._turn_begun = _of(self._turn_begun, suppliers)
        self._heard_at = {
            (each, generation): at
            for (each, generation), at in self._heard_at.items()
            if (found := find(each)) is not None and found.generation == generation
        }
        self._forgotten_from = max(2 * (len(self._last_use) + len(self._heard_at)), _PRUNED_FROM)

    def turn(self, credential: Credential) -> tuple[float, int]:
        """Answer when its turn is: by its share of the uses, and among equals by how long it is unused.

        These are the start tags of start-time fair queueing (Goyal, Vin and Cheng, 1996), each use being one unit.
        """
        begun = max(self._turn_ends.get(credential.id, 0.0), self._turn_begun.get(credential.supplier_id, 0.0))
        return begun, self._last_use.get(credential.id, 0)


def _of[V](by_id: Mapping[UUID, V], known: Container[UUID]) -> dict[UUID, V]:
    return {each: value for each, value in by_id.items() if each in known}
