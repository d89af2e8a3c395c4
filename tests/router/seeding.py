"""A catalog to be, record by record: what a router finds as its last-known-good file, or a fake feed serves."""

from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from msgspec import Raw

from modelbus.chassis import last_known_good
from modelbus.chassis.feed import Applied
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault
from modelbus.contracts import access, labels, records, routing
from modelbus.contracts.feed import Snapshot, digest_text, record_digest
from modelbus.router.cache.table import SHELVES, Table
from running import MASTER_KEY

EPOCH = UUID("01890000-0000-7000-8000-000000000001")
VAULT = Vault(MASTER_KEY)


def an_arm(name: str, target: records.ModelRecord | records.SourceRecord, weight: int = 1) -> routing.SplitArmRecord:
    return routing.SplitArmRecord(name=name, weight=weight, **_named(target))


def a_shadow(
    name: str, target: records.ModelRecord | records.SourceRecord, percent: float = 100
) -> routing.SplitShadowRecord:
    return routing.SplitShadowRecord(name=name, percent=percent, **_named(target))


def _named(target: records.ModelRecord | records.SourceRecord) -> dict[str, Any]:
    if isinstance(target, records.SourceRecord):
        return {"model_id": target.model_id, "source_id": target.id}
    return {"model_id": target.id}


class Seed:
    """Records with defaults for all that does not matter."""

    def __init__(self) -> None:
        self.records: dict[str, dict[UUID, records.Record]] = {kind: {} for kind in SHELVES}
        self.revision = 1

    def put[R: records.Record](self, record: R) -> R:
        self.records[record.kind][record.id] = record
        return record

    def supplier(self, name: str, base_url: str = "http://127.0.0.1:9/v1", **fields: Any) -> records.SupplierRecord:
        usual: dict[str, Any] = {
            "display_name": name,
            "supplier_kind": "direct",
            "protocol": "openai",
            "flavour": "openai",
            "namespace": None,
            "is_active": True,
            "requires_credential": True,
            "is_local": True,
            "removal_after": 2,
            "sync_interval_s": 0,
        }
        return self.put(records.SupplierRecord(id=new_id(), name=name, base_url=base_url, **(usual | fields)))

    def credential(self, supplier: records.SupplierRecord, secret: str, **fields: Any) -> records.CredentialRecord:
        usual: dict[str, Any] = {"name": "key", "is_active": True, "priority": 10, "state": "ok"}
        sealed = VAULT.seal(secret)
        return self.put(
            records.CredentialRecord(id=new_id(), supplier_id=supplier.id, sealed=sealed, **(usual | fields))
        )

    def model(self, name: str, **fields: Any) -> records.ModelRecord:
        usual: dict[str, Any] = {
            "aliases": [],
            "display_name": name,
            "model_type": "language",
            "context_window": None,
            "max_output_tokens": None,
            "is_active": True,
            "is_available": True,
            "reason": None,
        }
        return self.put(records.ModelRecord(id=new_id(), name=name, **(usual | fields)))

    def source(
        self, model: records.ModelRecord, supplier: records.SupplierRecord, upstream_name: str = "gpt-4o", **fields: Any
    ) -> records.SourceRecord:
        usual: dict[str, Any] = {
            "is_available": True,
            "reason": None,
            "priority": 10,
            "weight": 1,
            "cost": records.CostPrices(),
        }
        return self.put(
            records.SourceRecord(
                id=new_id(),
                model_id=model.id,
                supplier_id=supplier.id,
                upstream_name=upstream_name,
                **(usual | fields),
            )
        )

    def chain(
        self, name: str, *steps: records.ModelRecord | records.SourceRecord, is_active: bool = True
    ) -> routing.ChainRecord:
        written = [
            routing.ChainStepRecord(id=new_id(), model_id=step.model_id, source_id=step.id)
            if isinstance(step, records.SourceRecord)
            else routing.ChainStepRecord(id=new_id(), model_id=step.id)
            for step in steps
        ]
        return self.put(routing.ChainRecord(id=new_id(), name=name, is_active=is_active, steps=written))

    def chain_of(self, name: str, *steps: routing.ChainStepRecord) -> routing.ChainRecord:
        return self.put(routing.ChainRecord(id=new_id(), name=name, is_active=True, steps=list(steps)))

    def split(
        self, name: str, *arms: routing.SplitArmRecord, sticky_by: str = "none", **fields: Any
    ) -> routing.SplitRecord:
        usual: dict[str, Any] = {"is_active": True, "sticky_by": sticky_by, "arms": list(arms)}
        return self.put(routing.SplitRecord(id=new_id(), name=name, **(usual | fields)))

    def capability(self, name: str) -> labels.CapabilityRecord:
        return self.put(
            labels.CapabilityRecord(
                id=new_id(), name=name, display_name=name, domain="nlp", input_types=[], output_types=[]
            )
        )

    def able(self, name: str, *capabilities: str, **fields: Any) -> records.ModelRecord:
        """Put a model with these capabilities."""
        held = [
            records.ModelCapabilityRecord(capability_id=self.capability(each).id, config={}) for each in capabilities
        ]
        return self.model(name, capabilities=held, **fields)

    def complexity(
        self, name: str, *, is_active: bool = True, **levels: list[records.ModelRecord]
    ) -> routing.ComplexityRecord:
        written = [
            routing.ComplexityLevelRecord(level=level, model_ids=[model.id for model in models])
            for level, models in levels.items()
        ]
        return self.put(routing.ComplexityRecord(id=new_id(), name=name, is_active=is_active, levels=written))

    def strategy(self, name: str, *models: records.ModelRecord, **fields: Any) -> routing.StrategyRecord:
        usual: dict[str, Any] = {
            "is_active": True,
            "cost_weight": 0.0,
            "latency_weight": 0.0,
            "success_weight": 0.0,
            "quality_weight": 0.0,
            "max_input_price": None,
            "max_output_price": None,
            "max_latency_ms": None,
            "model_ids": [model.id for model in models] or None,
        }
        return self.put(routing.StrategyRecord(id=new_id(), name=name, **(usual | fields)))

    def scope(self, name: str, *models: records.ModelRecord, **fields: Any) -> routing.ScopeRecord:
        usual: dict[str, Any] = {"is_active": True, "default_model_id": None}
        model_ids = [model.id for model in models]
        return self.put(routing.ScopeRecord(id=new_id(), name=name, model_ids=model_ids, **(usual | fields)))

    def key(self, text: str = "mb-test-key", **fields: Any) -> access.AccessKeyRecord:
        usual: dict[str, Any] = {"name": "key", "is_active": True, "expires_at": None, "model_ids": None}
        digest = sha256(text.encode()).hexdigest()
        return self.put(access.AccessKeyRecord(id=new_id(), key_hash=digest, **(usual | fields)))

    def bodies(self) -> dict[str, dict[UUID, bytes]]:
        return {
            kind: {record_id: record.model_dump_json().encode() for record_id, record in of_kind.items()}
            for kind, of_kind in self.records.items()
        }

    def snapshot(self) -> Snapshot:
        bodies = self.bodies()
        digests = {
            kind: digest_text(sum(record_digest(kind, record_id, body) for record_id, body in of_kind.items()))
            for kind, of_kind in bodies.items()
        }
        raw = {kind: [Raw(body) for body in of_kind.values()] for kind, of_kind in bodies.items()}
        return Snapshot(EPOCH, self.revision, digests, raw)

    def save(self, path: Path) -> None:
        last_known_good.save(path, self.snapshot())

    def table(self) -> Table:
        return Table(EPOCH, 0).after(Applied(self.bodies(), {}, is_whole=True), EPOCH, self.revision)
