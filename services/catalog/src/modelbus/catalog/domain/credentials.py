"""A credential is one API key of a supplier; the secret is sealed before it comes here."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

_SHOWN = 4
_LONG_ENOUGH_TO_SHOW = 12
LONGEST_COOLING = timedelta(days=1)
"""A supplier that asks for more than that is tried again all the same."""
LONGEST_REASON = 200


class State(StrEnum):
    """What calls with a credential showed of it."""

    OK = "ok"
    COOLING = "cooling"
    """The supplier wants to be left alone with it until a time."""
    DEAD = "dead"
    """The supplier does not accept it; only a new secret or an administrator brings it back."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody who called with a credential saw of it."""

    state: State
    generation: int
    """Of the credential that was used; what was seen of an earlier one says nothing of this one."""
    reason: str
    """In our words: a supplier's own might repeat the secret."""
    until: datetime | None = None
    """When it may be used again; where it is cooling."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of a supplier's pool."""

    KIND: ClassVar[str] = "credential"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset(
        {"sealed", "state", "state_reason", "state_until", "state_since", "generation", "last_used_at"}
    )

    id: UUID
    supplier_id: UUID
    name: str
    sealed: str
    """Empty once it is deleted: nobody can open it any more."""
    hint: str
    is_active: bool
    priority: int
    state: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1
    weight: int = 1
    """Share of the calls among credentials of equal priority."""
    model_ids: list[UUID] | None = None
    """The models that it may be used for; None means every model."""
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    state_reason: str | None = None
    """Why it is not ok; None while it is."""
    state_until: datetime | None = None
    """When it has cooled off; None unless it is cooling."""
    generation: int = 1
    """Grows with each new secret and each reset."""
    last_used_at: datetime | None = None
    """When routers last called with it, as far as their usage has come in."""
    state_since: datetime | None = None
    """Since when it is not ok; None while it is."""

    @property
    def is_restricted(self) -> bool:
        """Tell whether it may be used for some models only."""
        return self.model_ids is not None

    @property
    def is_usable(self) -> bool:
        """Tell whether it is worth a call; one that cools off soon counts, as its sources stay what they are."""
        return self.is_active and self.deleted_at is None and self.state != State.DEAD

    def with_secret(self, sealed: str, hint: str) -> "Credential":
        """Answer it with another secret, of which nobody has seen anything yet."""
        return replace(self, sealed=sealed, hint=hint).trusted()

    def trusted(self) -> "Credential":
        """Answer it as if nothing had been seen of it: what is still under way of that is ignored."""
        return replace(self.cooled_off(), generation=self.generation + 1)

    def forgotten(self, now: datetime) -> "Credential":
        """Answer it deleted; its secret is no more."""
        return replace(self, sealed="", deleted_at=now)

    def cooled_off(self) -> "Credential":
        """Answer it in order."""
        return replace(self, state=State.OK, state_reason=None, state_until=None, state_since=None)

    def seen(self, seen: Seen, now: datetime) -> "Credential":
        """Answer what it is after somebody saw this of it; the credential itself where that changes nothing.

        What is seen may come twice, late and in any order: dead stays dead, and of two times to cool the later holds.
        """
        if seen.generation != self.generation or self.state == State.DEAD:
            return self
        out = replace(self, state_reason=seen.reason[:LONGEST_REASON], state_since=self.state_since or now)
        if seen.state == State.DEAD:
            return replace(out, state=State.DEAD, state_until=None)
        if seen.state == State.OK or seen.until is None:
            return self
        until = min(seen.until, now + LONGEST_COOLING)
        if until <= max(now, self.state_until or now):
            return self
        return replace(out, state=State.COOLING, state_until=until)


def mask(secret: str) -> str:
    """Answer a hint that tells keys apart and gives none away: the last four characters of a long one."""
    return f"…{secret[-_SHOWN:]}" if len(secret) >= _LONG_ENOUGH_TO_SHOW else "…"
