"""An API token lets a program in, for a user and with a role of its own that is not above the user's."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

MARK = "mbt-"
SHOWN = 11


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What is known of one token; the token itself is shown once."""

    KIND: ClassVar[str] = "api_token"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset({"hash", "last_used_at"})

    id: UUID
    user_id: UUID | None
    """Whose it is; None where the static administrator made it."""
    name: str
    prefix: str
    """The first characters, so that people can tell tokens apart."""
    hash: str
    role: str
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1

    def is_good(self, now: datetime) -> bool:
        """Tell whether it has neither expired nor been withdrawn."""
        return self.deleted_at is None and (self.expires_at is None or self.expires_at > now)
