"""The catalog's records, as far as routing reads them; fields that are not named here are skipped."""

from datetime import datetime
from uuid import UUID

import msgspec

OK = "ok"


class Supplier(msgspec.Struct, frozen=True, gc=False):
    """A provider or aggregator account."""

    id: UUID
    name: str
    base_url: str
    protocol: str
    is_active: bool
    requires_credential: bool
    is_local: bool


class Credential(msgspec.Struct, frozen=True, gc=False):
    """One API key of a supplier, sealed."""

    id: UUID
    supplier_id: UUID
    sealed: str
    is_active: bool
    priority: int
    state: str

    @property
    def is_usable(self) -> bool:
        """As far as the catalog knows."""
        return self.is_active and self.state == OK


class Model(msgspec.Struct, frozen=True, gc=False):
    """What callers name."""

    id: UUID
    name: str
    aliases: tuple[str, ...]
    is_available: bool
    reason: str | None


class Source(msgspec.Struct, frozen=True, gc=False):
    """One supplier's offer of one model."""

    id: UUID
    model_id: UUID
    supplier_id: UUID
    upstream_name: str
    is_available: bool
    reason: str | None
    priority: int
    weight: int


class ChainStep(msgspec.Struct, frozen=True, gc=False):
    """A model, or one exact source of it."""

    model_id: UUID
    source_id: UUID | None = None


class Chain(msgspec.Struct, frozen=True, gc=False):
    """Fallback steps under a name of their own."""

    id: UUID
    name: str
    is_active: bool
    steps: tuple[ChainStep, ...]


class AccessKey(msgspec.Struct, frozen=True, gc=False):
    """Who may call what."""

    id: UUID
    key_hash: str
    is_active: bool
    expires_at: datetime | None
    model_ids: frozenset[UUID] | None
    """None means every model."""

    def permits(self, model_id: UUID) -> bool:
        """Tell whether this key may call the model."""
        return self.model_ids is None or model_id in self.model_ids
