"""The catalog's records, as far as routing reads them; fields that are not named here are skipped."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

OK, COOLING = "ok", "cooling"


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
    state_until: datetime | None = None
    model_ids: frozenset[UUID] | None = None
    """The models that it may be used for; None means every model."""

    def is_usable(self, model_id: UUID, now: datetime) -> bool:
        """Tell whether the model may be called with it, as far as the catalog knows.

        One that has cooled off is, whether or not the catalog could say so yet.
        """
        has_cooled = self.state == COOLING and self.state_until is not None and self.state_until <= now
        is_for_it = self.model_ids is None or model_id in self.model_ids
        return self.is_active and is_for_it and (self.state == OK or has_cooled)


class Model(msgspec.Struct, frozen=True, gc=False):
    """What callers name."""

    id: UUID
    name: str
    aliases: tuple[str, ...]
    is_available: bool
    reason: str | None


class Prices(msgspec.Struct, frozen=True, gc=False):
    """What a supplier bills, in USD per million tokens and per request; None is unknown, zero is a price."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    request: Decimal | None = None


_UNKNOWN_PRICES = Prices()


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
    protocol: str | None = None
    """How requests to it are spoken; None means like the supplier."""
    cost: Prices = _UNKNOWN_PRICES


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


class Consumer(msgspec.Struct, frozen=True, gc=False):
    """Who holds access keys."""

    id: UUID
    is_active: bool
    model_ids: frozenset[UUID] | None
    """The models it may call; None means every model."""


class AccessKey(msgspec.Struct, frozen=True, gc=False):
    """Who may call what."""

    id: UUID
    key_hash: str
    is_active: bool
    expires_at: datetime | None
    model_ids: frozenset[UUID] | None
    """None means every model."""
    consumer_id: UUID | None = None
    previous_key_hash: str | None = None
    """The key before the last rotation, which opens until `previous_expires_at`."""
    previous_expires_at: datetime | None = None

    @property
    def hashes(self) -> tuple[str, ...]:
        """By which keys it is found."""
        return (self.key_hash,) if self.previous_key_hash is None else (self.key_hash, self.previous_key_hash)

    def within(self, consumer: Consumer) -> "AccessKey":
        """Answer it with what its consumer may, too."""
        if consumer.model_ids is None:
            return self
        both = consumer.model_ids if self.model_ids is None else self.model_ids & consumer.model_ids
        return msgspec.structs.replace(self, model_ids=both)

    def permits(self, model_id: UUID) -> bool:
        """Tell whether this key may call the model."""
        return self.model_ids is None or model_id in self.model_ids
