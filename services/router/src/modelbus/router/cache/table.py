"""The routing table: everything that routing reads, at one revision of the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from uuid import UUID

from modelbus.chassis.feed import Applied
from modelbus.contracts import access, labels, routing
from modelbus.contracts import records as told
from modelbus.router.cache.records import AccessKey, Capability, Consumer, Credential, Model, Price, Source, Supplier
from modelbus.router.cache.routing import Chain, Complexity, Scope, Split, Strategy
from modelbus.router.cache.shelf import Shelf


def _suppliers() -> Shelf[Supplier]:
    return Shelf(Supplier)


def _credentials() -> Shelf[Credential]:
    return Shelf(Credential, order=lambda one: (one.priority, one.id), supplier=lambda one: (one.supplier_id,))


def _capabilities() -> Shelf[Capability]:
    return Shelf(Capability)


def _models() -> Shelf[Model]:
    return Shelf(
        Model,
        name=lambda one: (one.name,),
        alias=lambda one: set(one.aliases),
        default=lambda one: (one.model_type,) if one.is_default else (),
    )


def _sources() -> Shelf[Source]:
    return Shelf(
        Source,
        order=lambda one: (one.priority, one.id),
        shared=("model_id", "supplier_id", "cost"),
        model=lambda one: (one.model_id,),
    )


def _chains() -> Shelf[Chain]:
    return Shelf(Chain, name=lambda one: (one.name,))


def _splits() -> Shelf[Split]:
    return Shelf(Split, name=lambda one: (one.name,))


def _complexities() -> Shelf[Complexity]:
    return Shelf(Complexity, name=lambda one: (one.name,), state=lambda one: ("active",) if one.is_active else ())


def _strategies() -> Shelf[Strategy]:
    return Shelf(Strategy, name=lambda one: (one.name,))


def _scopes() -> Shelf[Scope]:
    return Shelf(Scope, name=lambda one: (one.name,))


def _prices() -> Shelf[Price]:
    return Shelf(Price)


def _consumers() -> Shelf[Consumer]:
    return Shelf(Consumer, name=lambda one: (one.name,))


def _access_keys() -> Shelf[AccessKey]:
    return Shelf(AccessKey, hash=lambda one: one.hashes)


@dataclass(frozen=True, slots=True)
class Table:
    """Immutable, and replaced whole: a request that holds it sees one state of the catalog from begin to end."""

    epoch: UUID
    revision: int
    suppliers: Shelf[Supplier] = field(default_factory=_suppliers)
    credentials: Shelf[Credential] = field(default_factory=_credentials)
    capabilities: Shelf[Capability] = field(default_factory=_capabilities)
    models: Shelf[Model] = field(default_factory=_models)
    sources: Shelf[Source] = field(default_factory=_sources)
    chains: Shelf[Chain] = field(default_factory=_chains)
    splits: Shelf[Split] = field(default_factory=_splits)
    complexities: Shelf[Complexity] = field(default_factory=_complexities)
    strategies: Shelf[Strategy] = field(default_factory=_strategies)
    scopes: Shelf[Scope] = field(default_factory=_scopes)
    prices: Shelf[Price] = field(default_factory=_prices)
    consumers: Shelf[Consumer] = field(default_factory=_consumers)
    access_keys: Shelf[AccessKey] = field(default_factory=_access_keys)

    @property
    def shelves(self) -> Mapping[str, Shelf[Any]]:
        """Answer the shelf of each kind of record."""
        return {kind: getattr(self, shelf) for kind, shelf in SHELVES.items()}

    def after(self, applied: Applied, epoch: UUID, revision: int) -> Self:
        """Answer the table after a batch of changes; only what changed is built anew."""
        base = type(self)(epoch, revision) if applied.is_whole else replace(self, epoch=epoch, revision=revision)
        fresh: dict[str, Any] = {
            SHELVES[kind]: shelf.after(applied.changed.get(kind, {}), applied.gone.get(kind, ()))
            for kind, shelf in base.shelves.items()
            if applied.changed.get(kind) or applied.gone.get(kind)
        }
        return replace(base, **fresh)


SHELVES = {
    told.SupplierRecord.kind: "suppliers",
    told.CredentialRecord.kind: "credentials",
    labels.CapabilityRecord.kind: "capabilities",
    told.ModelRecord.kind: "models",
    told.SourceRecord.kind: "sources",
    told.PriceRecord.kind: "prices",
    routing.ChainRecord.kind: "chains",
    routing.SplitRecord.kind: "splits",
    routing.ComplexityRecord.kind: "complexities",
    routing.StrategyRecord.kind: "strategies",
    routing.ScopeRecord.kind: "scopes",
    access.ConsumerRecord.kind: "consumers",
    access.AccessKeyRecord.kind: "access_keys",
}
"""The kinds of record that routing reads, and the field of the table that holds them."""
