"""A signing key signs sessions until another takes over, and verifies until the last of its tokens is over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

SLACK = timedelta(minutes=1)
"""A replica that has not yet heard of a new key goes on signing with the one before."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One pair of keys; the private one is sealed."""

    id: UUID
    """The `kid` of its tokens."""
    public: dict[str, Any]
    sealed: str
    created_at: datetime
    retired_at: datetime | None = None

    def is_over(self, now: datetime, token_life: timedelta) -> bool:
        """Tell whether none of its tokens can be good any more."""
        return self.retired_at is not None and now > self.retired_at + token_life + SLACK


def newest(keys: Sequence[SigningKey]) -> SigningKey | None:
    """Answer the key that signs."""
    return max((key for key in keys if key.retired_at is None), key=lambda key: key.created_at, default=None)
