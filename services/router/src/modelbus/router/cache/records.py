"""The catalog's records, as far as routing reads them; fields that are not named here are skipped."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw

OK, COOLING = "ok", "cooling"
TIERS = ("free", "pro", "max", "own")
"""What a consumer may use, growing: each tier has the models of those before it, too."""
NULL = Raw(b"null")

_WITHIN = {tier: frozenset(TIERS[: place + 1]) for place, tier in enumerate(TIERS)}
_NO_TIER: frozenset[str] = frozenset()


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
    generation: int = 1
    """Grows with each new secret and each reset."""
    weight: int = 1
    """Share of the calls among credentials of equal priority."""
    rpm_limit: int | None = None
    """Requests per minute that the supplier allows."""
    tpm_limit: int | None = None

    @property
    def concurrency_limit(self) -> None:
        """Answer none: suppliers limit what comes in a minute."""

    def is_usable(self, model_id: UUID, now: datetime) -> bool:
        """Tell whether the model may be called with it, as far as the catalog knows.

        One that has cooled off is, whether or not the catalog could say so yet.
        """
        has_cooled = self.state == COOLING and self.state_until is not None and self.state_until <= now
        is_for_it = self.model_ids is None or model_id in self.model_ids
        return self.is_active and is_for_it and (self.state == OK or has_cooled)


class HeldCapability(msgspec.Struct, frozen=True, gc=False):
    """A capability that a model has."""

    capability_id: UUID


class Parameter(msgspec.Struct, frozen=True, gc=False):
    """A field of requests to a model: its value when the caller gives none, and the bounds of what may be given."""

    name: str
    default: Raw = NULL
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] | None = None


class Model(msgspec.Struct, frozen=True, gc=False):
    """What callers name."""

    id: UUID
    name: str
    aliases: tuple[str, ...]
    is_available: bool
    reason: str | None
    model_type: str = "language"
    context_window: int | None = None
    """Tokens of input and output together; None is unknown."""
    max_output_tokens: int | None = None
    """The longest answer; None is unknown."""
    tier: str = TIERS[0]
    """The tier that a consumer needs at least."""
    is_featured: bool = False
    is_default: bool = False
    """Serves requests of its type that name no model."""
    capabilities: tuple[HeldCapability, ...] = ()
    """None at all means that nobody knows them."""
    parameters: tuple[Parameter, ...] = ()


class Capability(msgspec.Struct, frozen=True, gc=False):
    """Something that a model can do."""

    id: UUID
    name: str


class Prices(msgspec.Struct, frozen=True, gc=False):
    """What a supplier bills, in USD per million tokens and per request; None is unknown, zero is a price."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    request: Decimal | None = None
    is_dynamic: bool = False
    """The supplier decides per call."""


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
    features: dict[str, bool] | None = None
    """What this offer can do otherwise than its model."""
    health: str = "unknown"
    """What probes and traffic say: `healthy`, `degraded`, `down` or `unknown`."""


class Budget(msgspec.Struct, frozen=True, gc=False):
    """What may be charged in each period."""

    period: str
    amount: Decimal


class Price(msgspec.Struct, frozen=True, gc=False):
    """What consumers are charged for a model now; its id is the model's."""

    id: UUID
    charge: Prices


class Consumer(msgspec.Struct, frozen=True, gc=False):
    """Who holds access keys."""

    id: UUID
    is_active: bool
    model_ids: frozenset[UUID] | None
    """The models it may call; None means every model."""
    name: str = ""
    tier: str = TIERS[0]
    scope_ids: frozenset[UUID] | None = None
    """The scopes it may name; None means every scope."""
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    concurrency_limit: int | None = None
    budgets: tuple[Budget, ...] = ()


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
    scope_ids: frozenset[UUID] | None = None
    """The scopes it may name; None means every scope."""
    tiers: frozenset[str] | None = None
    """The tiers whose models its consumer may use; None means every tier, as for a key without consumer."""
    rpm_limit: int | None = None
    tpm_limit: int | None = None
    concurrency_limit: int | None = None
    budgets: tuple[Budget, ...] = ()
    is_token: bool = False
    """No key: what a signed token lets its consumer do."""

    @classmethod
    def of_token(cls, consumer: Consumer, scope_ids: frozenset[UUID] | None, tier: str | None) -> "AccessKey":
        """Answer what stands for a key where a token names the consumer, and scopes and tier if it limits them."""
        return cls(
            consumer.id,
            "",
            is_active=True,
            expires_at=None,
            model_ids=None,
            consumer_id=consumer.id,
            scope_ids=scope_ids,
            tiers=None if tier is None else _WITHIN[tier],
            is_token=True,
        )

    @property
    def hashes(self) -> tuple[str, ...]:
        """By which keys it is found."""
        return (self.key_hash,) if self.previous_key_hash is None else (self.key_hash, self.previous_key_hash)

    def within(self, consumer: Consumer) -> "AccessKey":
        """Answer it with no more than its consumer may, too."""
        return msgspec.structs.replace(
            self,
            model_ids=_both(self.model_ids, consumer.model_ids),
            scope_ids=_both(self.scope_ids, consumer.scope_ids),
            tiers=_both(self.tiers, _WITHIN.get(consumer.tier, _NO_TIER)),
        )

    def among(self, model_ids: Iterable[UUID]) -> "AccessKey":
        """Answer it with no more than these models."""
        return msgspec.structs.replace(self, model_ids=_both(self.model_ids, frozenset(model_ids)))

    @property
    def is_restricted(self) -> bool:
        """Tell whether there are models that it may not call."""
        return self.model_ids is not None or self.tiers is not None

    def permits(self, model: Model) -> bool:
        """Tell whether this key may call the model."""
        return (self.model_ids is None or model.id in self.model_ids) and (
            self.tiers is None or model.tier in self.tiers
        )

    def permits_scope(self, scope_id: UUID) -> bool:
        """Tell whether this key may name the scope."""
        return self.scope_ids is None or scope_id in self.scope_ids


def _both[T](one: frozenset[T] | None, other: frozenset[T] | None) -> frozenset[T] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
