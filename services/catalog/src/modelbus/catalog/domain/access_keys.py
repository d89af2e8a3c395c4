"""An access key is what a consumer presents; it is shown once, and only its hash is kept."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.errors import RotationUnderWayError

_MARK = "mb-"
_CHANCE_BYTES = 32
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What is known of one key."""

    KIND: ClassVar[str] = "access_key"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset(
        {"key_hash", "previous_key_hash", "previous_expires_at", "last_used_at"}
    )

    id: UUID
    name: str
    prefix: str
    """The first characters, so that people can tell keys apart."""
    key_hash: str
    is_active: bool
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    model_ids: list[UUID] | None
    """The models it may call; None means every model."""
    version: int = 1
    consumer_id: UUID | None = None
    scope_ids: list[UUID] | None = None
    """The scopes it may name; None means every scope."""
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    concurrency_limit: int | None = None
    budgets: dict[str, str] = field(default_factory=dict)
    """USD for each period that has a budget, as decimals."""
    previous_key_hash: str | None = None
    previous_expires_at: datetime | None = None
    """Until then the key before the last rotation opens too."""
    last_used_at: datetime | None = None
    """When it was last shown to a router, as far as their usage has come in."""

    @property
    def is_restricted(self) -> bool:
        """Tell whether it may call only some models."""
        return self.model_ids is not None

    @property
    def is_scope_restricted(self) -> bool:
        """Tell whether it may name only some scopes."""
        return self.scope_ids is not None

    def rotated(self, key: str, grace: timedelta, now: datetime) -> "AccessKey":
        """Answer it with another key; the one it has opens until the grace is over.

        Raises:
            RotationUnderWayError: an earlier key is in its grace still, and this one is to have some as well.
        """
        fresh = replace(self.without_previous(), prefix=prefix_of(key), key_hash=hash_of(key))
        if not grace:
            return fresh
        if self.previous_expires_at is not None and self.previous_expires_at > now:
            raise RotationUnderWayError(self.previous_expires_at)
        return replace(fresh, previous_key_hash=self.key_hash, previous_expires_at=now + grace)

    def without_previous(self) -> "AccessKey":
        """Answer it with the present key alone."""
        return replace(self, previous_key_hash=None, previous_expires_at=None)


def mint() -> str:
    """Make a key: a mark that scanners for leaked secrets can look for, and 256 bits of chance."""
    return _MARK + secrets.token_urlsafe(_CHANCE_BYTES)


def prefix_of(key: str) -> str:
    """Answer the part of a key that may be shown."""
    return key[:_SHOWN]


def hash_of(key: str) -> str:
    """Answer the SHA-256 of the whole key, lower-case hexadecimal; so much chance needs no salt."""
    return hashlib.sha256(key.encode()).hexdigest()
