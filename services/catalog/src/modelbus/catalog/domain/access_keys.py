"""An access key is what a consumer presents; it is shown once, and only its hash is kept."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

_MARK = "mb-"
_CHANCE_BYTES = 32
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class AccessKey:
    """What is known of one key."""

    KIND: ClassVar[str] = "access_key"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset({"key_hash"})

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

    @property
    def is_restricted(self) -> bool:
        """Tell whether it may call only some models."""
        return self.model_ids is not None


def mint() -> str:
    """Make a key: a mark that scanners for leaked secrets can look for, and 256 bits of chance."""
    return _MARK + secrets.token_urlsafe(_CHANCE_BYTES)


def prefix_of(key: str) -> str:
    """Answer the part of a key that may be shown."""
    return key[:_SHOWN]


def hash_of(key: str) -> str:
    """Answer the SHA-256 of the whole key, lower-case hexadecimal; so much chance needs no salt."""
    return hashlib.sha256(key.encode()).hexdigest()
