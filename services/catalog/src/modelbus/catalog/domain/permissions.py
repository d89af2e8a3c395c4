"""What an access key lets its holder use, together with the consumer that it belongs to."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from modelbus.catalog.domain.models import Tier

TIERS = [each.value for each in Tier]


@dataclass(frozen=True, slots=True)
class HeldConsumer:
    """What the selector reads of `contracts.access.ConsumerRecord`."""

    id: UUID
    tier: str
    is_active: bool
    model_ids: list[UUID] | None
    scope_ids: list[UUID] | None


@dataclass(frozen=True, slots=True)
class HeldAccessKey:
    """What the selector reads of `contracts.access.AccessKeyRecord`."""

    id: UUID
    key_hash: str
    is_active: bool
    expires_at: datetime | None
    model_ids: list[UUID] | None
    consumer_id: UUID | None = None
    scope_ids: list[UUID] | None = None
    previous_key_hash: str | None = None
    previous_expires_at: datetime | None = None

    def opens(self, now: datetime, consumer: HeldConsumer | None) -> bool:
        """Tell whether it lets anybody call anything."""
        is_owned = self.consumer_id is None or (consumer is not None and consumer.is_active)
        return self.is_active and is_owned and (self.expires_at is None or self.expires_at > now)

    def is_shown_by(self, key_hash: str, now: datetime) -> bool:
        """Tell whether the hash is of the key as it is, or as it was before a rotation whose grace is not over."""
        if self.key_hash == key_hash:
            return True
        ends = self.previous_expires_at
        return self.previous_key_hash == key_hash and ends is not None and ends > now


@dataclass(frozen=True, slots=True)
class Permissions:
    """What somebody may use; equal ones see the same."""

    model_ids: frozenset[UUID] | None = None
    """None is every model of the tiers."""
    tiers: frozenset[str] = frozenset(TIERS)
    scope_ids: frozenset[UUID] | None = None
    """None is every scope."""
    within: UUID | None = None
    """The scope to whose models they are narrowed."""

    def permit_model(self, model_id: UUID, tier: str) -> bool:
        """Tell whether the model, which is of that tier, may be used."""
        return tier in self.tiers and (self.model_ids is None or model_id in self.model_ids)

    def permit_scope(self, scope_id: UUID) -> bool:
        """Tell whether the scope may be named."""
        return self.scope_ids is None or scope_id in self.scope_ids


def permissions_of(key: HeldAccessKey, consumer: HeldConsumer | None) -> Permissions:
    """Put together what the key and its consumer let one use: only what both do."""
    if consumer is None:
        return Permissions(_set(key.model_ids), scope_ids=_set(key.scope_ids))
    tiers = frozenset(TIERS[: TIERS.index(consumer.tier) + 1]) if consumer.tier in TIERS else frozenset[str]()
    return Permissions(
        _both(_set(key.model_ids), _set(consumer.model_ids)),
        tiers,
        _both(_set(key.scope_ids), _set(consumer.scope_ids)),
    )


def _set(ids: list[UUID] | None) -> frozenset[UUID] | None:
    return None if ids is None else frozenset(ids)


def _both(one: frozenset[UUID] | None, other: frozenset[UUID] | None) -> frozenset[UUID] | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
