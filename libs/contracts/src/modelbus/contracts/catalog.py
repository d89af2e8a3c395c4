"""What the catalog tells: changes of its records, models and sources that came or went, listings applied."""

from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID

from modelbus.contracts import access, labels, records, routing
from modelbus.contracts.event import Event


class RecordChanged[R: records.Record](Event):
    """A record has a new state, or is deleted."""

    id: UUID
    record: R | None
    """The whole new state; None exactly when deleted."""
    deleted: bool = False

    @classmethod
    def to(cls, record: R) -> Self:
        """Tell the new state."""
        return cls(id=record.id, record=record)

    @classmethod
    def gone(cls, record_id: UUID) -> Self:
        """Tell that the thing is no more."""
        return cls(id=record_id, record=None, deleted=True)

    def about(self) -> UUID:
        """Answer the record's id."""
        return self.id


class SupplierChanged(RecordChanged[records.SupplierRecord]):
    """A supplier was created, changed or deleted."""

    type: ClassVar[str] = "supplier.changed"
    version: ClassVar[str] = "1-2"


class CredentialChanged(RecordChanged[records.CredentialRecord]):
    """A credential was created, changed or deleted; the secret is sealed."""

    type: ClassVar[str] = "credential.changed"
    version: ClassVar[str] = "1-2"


class ModelChanged(RecordChanged[records.ModelRecord]):
    """A model was created, changed or deleted, or its availability flipped."""

    type: ClassVar[str] = "model.changed"
    version: ClassVar[str] = "1-2"


class SourceChanged(RecordChanged[records.SourceRecord]):
    """A source was created, changed or deleted, or its availability flipped."""

    type: ClassVar[str] = "source.changed"
    version: ClassVar[str] = "1-3"


class ChainChanged(RecordChanged[routing.ChainRecord]):
    """A fallback chain was created, changed or deleted."""

    type: ClassVar[str] = "chain.changed"
    version: ClassVar[str] = "1-1"


class SplitChanged(RecordChanged[routing.SplitRecord]):
    """A split was created, changed or deleted."""

    type: ClassVar[str] = "split.changed"


class ComplexityChanged(RecordChanged[routing.ComplexityRecord]):
    """A complexity routing was created, changed or deleted."""

    type: ClassVar[str] = "complexity.changed"
    version: ClassVar[str] = "1-1"


class ScopeChanged(RecordChanged[routing.ScopeRecord]):
    """A scope was created, changed or deleted."""

    type: ClassVar[str] = "scope.changed"
    version: ClassVar[str] = "1-2"


class StrategyChanged(RecordChanged[routing.StrategyRecord]):
    """A cost strategy was created, changed or deleted."""

    type: ClassVar[str] = "strategy.changed"


class PriceChanged(RecordChanged[records.PriceRecord]):
    """What consumers are charged for a model came into force, has another end, or ceased."""

    type: ClassVar[str] = "price.changed"


class CapabilityChanged(RecordChanged[labels.CapabilityRecord]):
    """A capability was created, changed or deleted."""

    type: ClassVar[str] = "capability.changed"


class CategoryChanged(RecordChanged[labels.CategoryRecord]):
    """A category was created, changed, moved or deleted."""

    type: ClassVar[str] = "category.changed"


class TagChanged(RecordChanged[labels.TagRecord]):
    """A tag was created, changed or deleted."""

    type: ClassVar[str] = "tag.changed"


class ConsumerChanged(RecordChanged[access.ConsumerRecord]):
    """A consumer was created, changed or deleted."""

    type: ClassVar[str] = "consumer.changed"


class AccessKeyChanged(RecordChanged[access.AccessKeyRecord]):
    """An access key was created, changed or deleted; only its hash is told."""

    type: ClassVar[str] = "access_key.changed"
    version: ClassVar[str] = "1-1"


class ModelAvailable(Event):
    """The first source of a model became available."""

    type: ClassVar[str] = "model.available"

    model_id: UUID
    name: str
    since: datetime

    def about(self) -> UUID:
        """Answer the model's id."""
        return self.model_id


class ModelUnavailable(Event):
    """The last source of a model ceased, or the model itself was disabled or deleted."""

    type: ClassVar[str] = "model.unavailable"

    model_id: UUID
    name: str
    reason: str
    """Why: `delisted`, `disabled`, `supplier_disabled`, `no_credential`, `deleted` ..."""
    since: datetime
    previous_source_ids: list[UUID]
    """The sources that served it until now."""

    def about(self) -> UUID:
        """Answer the model's id."""
        return self.model_id


class SourceAvailable(Event):
    """A supplier's offer of a model came or came back."""

    type: ClassVar[str] = "source.available"

    source_id: UUID
    model_id: UUID
    supplier_id: UUID

    def about(self) -> UUID:
        """Answer the source's id."""
        return self.source_id


class SourceUnavailable(Event):
    """A supplier's offer of a model went."""

    type: ClassVar[str] = "source.unavailable"

    source_id: UUID
    model_id: UUID
    supplier_id: UUID
    reason: str

    def about(self) -> UUID:
        """Answer the source's id."""
        return self.source_id


class SyncRequested(Event):
    """An administrator, or a new credential, asks for a listing of a supplier."""

    type: ClassVar[str] = "sync.requested"
    version: ClassVar[str] = "1-1"

    run_id: UUID
    supplier_id: UUID
    cause: str
    """`administrator` or `credential`."""
    requested_by: str | None = None
    """Who asked, or brought the credential, by name."""

    def about(self) -> UUID:
        """Answer the run's id."""
        return self.run_id


class CatalogSynced(Event):
    """A listing has been applied whole; every change of it was told before, in the same transaction."""

    type: ClassVar[str] = "catalog.synced"

    run_id: UUID
    supplier_id: UUID
    added: int
    """Sources that are new, or came back."""
    changed: int
    removed: int
    """Sources that went: missing from as many listings as the supplier's removal rule asks."""
    held: int
    """Sources that are missing but still within the removal rule."""
    unchanged: int
    changes: int
    """Events told just before this one in the same transaction, with the revisions from `revision - changes` on."""

    def about(self) -> UUID:
        """Answer the run's id."""
        return self.run_id


class ListingRefused(Event):
    """The catalog did not apply a listing, and says why; nothing was changed."""

    type: ClassVar[str] = "listing.refused"

    run_id: UUID
    supplier_id: UUID
    reason: str

    def about(self) -> UUID:
        """Answer the run's id."""
        return self.run_id


class CatalogReset(Event):
    """The numbering started anew, because the stream was lost or the truth restored: take a snapshot."""

    type: ClassVar[str] = "catalog.reset"

    epoch: UUID


class CatalogHeartbeat(Event):
    """Where the truth stands, read from the database each second; told on core NATS, never stored."""

    type: ClassVar[str] = "catalog.heartbeat"

    epoch: UUID
    revision: int


CHANGES: dict[str, type[RecordChanged[Any]]] = {
    records.SupplierRecord.kind: SupplierChanged,
    records.CredentialRecord.kind: CredentialChanged,
    records.ModelRecord.kind: ModelChanged,
    records.SourceRecord.kind: SourceChanged,
    routing.ChainRecord.kind: ChainChanged,
    routing.SplitRecord.kind: SplitChanged,
    routing.ComplexityRecord.kind: ComplexityChanged,
    routing.ScopeRecord.kind: ScopeChanged,
    routing.StrategyRecord.kind: StrategyChanged,
    records.PriceRecord.kind: PriceChanged,
    labels.CapabilityRecord.kind: CapabilityChanged,
    labels.CategoryRecord.kind: CategoryChanged,
    labels.TagRecord.kind: TagChanged,
    access.ConsumerRecord.kind: ConsumerChanged,
    access.AccessKeyRecord.kind: AccessKeyChanged,
}
"""The change event of each kind of record."""
