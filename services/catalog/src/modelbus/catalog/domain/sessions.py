"""A session begins with signing in and ends by its age, by signing out, or when its user may no longer enter."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

REFRESH_MARK = "mbr-"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what proves an identity is good."""

    access: timedelta
    """Of an access token, which is verified without asking anybody."""
    session: timedelta
    """From signing in, however often the session is refreshed."""
    signing_key: timedelta
    """Until another key takes over."""


@dataclass(frozen=True, slots=True)
class Session:
    """One signing in of one user."""

    id: UUID
    user_id: UUID
    address: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None = None
