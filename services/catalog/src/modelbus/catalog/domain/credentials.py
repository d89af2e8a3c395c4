"""A credential is one API key of a supplier; the secret is sealed before it comes here."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

_SHOWN = 4
_LONG_ENOUGH_TO_SHOW = 12


@dataclass(frozen=True, slots=True)
class Credential:
    """One key of a supplier's pool."""

    KIND: ClassVar[str] = "credential"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset({"sealed", "state"})

    id: UUID
    supplier_id: UUID
    name: str
    sealed: str
    hint: str
    is_active: bool
    priority: int
    state: str
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1


def mask(secret: str) -> str:
    """Answer a hint that tells keys apart and gives none away: the last four characters of a long one."""
    return f"…{secret[-_SHOWN:]}" if len(secret) >= _LONG_ENOUGH_TO_SHOW else "…"
