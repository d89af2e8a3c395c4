"""A credential that is refused is left alone for a while; only when two observers see it for long is it dead."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from uuid import UUID

DEAD_AFTER = timedelta(minutes=10)
"""So long it must have been refused: longer than the hiccup of a supplier that for a minute knows nobody."""
KEPT_FOR = timedelta(hours=1)
"""What was said longer ago says nothing any more."""
_WITNESSES = 2


@dataclass(frozen=True, slots=True)
class Refusal:
    """What one observer says of one credential."""

    credential_id: UUID
    observer: str
    generation: int
    """Of the credential that was shown."""
    status: int
    first_at: datetime
    last_at: datetime
    disproved_at: datetime | None = None
    """When somebody was served with the credential after that."""

    def is_disbelieved(self, generation: int, now: datetime) -> bool:
        """Tell whether the observer was wrong about this credential lately, and need not be heard again so soon."""
        is_wrong = self.disproved_at is not None and now - self.disproved_at <= KEPT_FOR
        return is_wrong and self.generation == generation

    def joined(self, later: "Refusal") -> "Refusal":
        """Answer it with what the same observer says next; where that is another matter it begins anew."""
        is_another = (self.generation, self.status) != (later.generation, later.status)
        if is_another or self.disproved_at is not None or later.last_at - self.last_at > KEPT_FOR:
            return later
        return replace(self, first_at=min(self.first_at, later.first_at), last_at=max(self.last_at, later.last_at))


def is_dead(said: Collection[Refusal], generation: int, now: datetime) -> bool:
    """Tell whether what is said amounts to a key that is no more: 401, from two observers, over a while.

    One observer may be wrong, or lie; 402 and 403 may pass, or be about one model.
    """
    heard = [
        each
        for each in said
        if each.generation == generation
        and each.disproved_at is None
        and each.status == HTTPStatus.UNAUTHORIZED
        and now - each.last_at <= KEPT_FOR
    ]
    if len(heard) < _WITNESSES:
        return False
    return max(each.last_at for each in heard) - min(each.first_at for each in heard) >= DEAD_AFTER
