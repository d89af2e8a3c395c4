"""A supplier is a provider or aggregator account that can be called."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID


class SupplierKind(StrEnum):
    """Whether it serves its own models or passes on those of others."""

    DIRECT = "direct"
    AGGREGATOR = "aggregator"


class Protocol(StrEnum):
    """How requests to it are spoken."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class Flavour(StrEnum):
    """How its listing is read, as far as this catalog knows by itself; sync has a module for each, maybe more."""

    OPENAI = "openai"
    OPENROUTER = "openrouter"
    AIHUBMIX = "aihubmix"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    HEROKU = "heroku"
    OLLAMA = "ollama"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Supplier:
    """One account, and how its listings are read."""

    KIND: ClassVar[str] = "supplier"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    display_name: str
    description: str | None
    kind: str
    base_url: str
    protocol: str
    flavour: str
    namespace: str | None
    website: str | None
    docs_url: str | None
    is_active: bool
    requires_credential: bool
    is_local: bool
    removal_after: int
    sync_interval_s: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1
    logo_url: str | None = None
    category: str | None = None
    """A word by which administrators group suppliers."""
    listing_url: str | None = None
    """Where its listing is, if not where its flavour looks for it."""

    def public_name(self, upstream_name: str) -> str:
        """Answer the name under which an offer is served, so that offers of several suppliers meet."""
        return f"{self.namespace}/{upstream_name}" if self.namespace else upstream_name
