"""The catalog's records become what the index knows of them."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from modelbus.contracts.access import AccessKeyRecord, ConsumerRecord
from modelbus.contracts.feed import record_digest
from modelbus.contracts.labels import CapabilityRecord
from modelbus.contracts.records import (
    CredentialRecord,
    ModelRecord,
    PriceRecord,
    Record,
    SourceRecord,
    SupplierRecord,
)
from modelbus.contracts.routing import (
    ChainRecord,
    ComplexityRecord,
    ScopeRecord,
    SplitArmRecord,
    SplitRecord,
    SplitShadowRecord,
    StrategyRecord,
)
from modelbus.integrity.domain.known import Known
from modelbus.integrity.domain.references import (
    Reference,
    references_of_chain,
    references_of_complexity,
    references_of_model,
    references_of_price,
    references_of_set,
    references_of_split,
)

_UNREAD = "{}"
_READ = (ModelRecord, SourceRecord, PriceRecord)
"""Whose text is kept, because rules ask for what is in it. Of keys and credentials nothing secret is kept."""


def read_record(record: Record, text: bytes, revision: int) -> Known:
    """Read a record; `text` is the record as it was told, byte by byte."""
    return Known(
        kind=record.kind,
        id=record.id,
        revision=revision,
        digest=record_digest(record.kind, record.id, text),
        record=text.decode() if isinstance(record, _READ) else _UNREAD,
        name=getattr(record, "name", None),
        # A model that is out of use still has a price and a replacement; its other names are left out below.
        is_active=isinstance(record, ModelRecord) or getattr(record, "is_active", True),
        model_id=getattr(record, "model_id", None),
        references=_REFERENCES.get(type(record), _none)(record),
    )


def _none(_record: Any) -> tuple[Reference, ...]:
    return ()


def _of_chain(chain: ChainRecord) -> tuple[Reference, ...]:
    return references_of_chain((step.id, step.model_id, step.source_id) for step in chain.steps)


def _of_split(split: SplitRecord) -> tuple[Reference, ...]:
    return references_of_split(map(_told, split.arms), map(_told, split.shadows))


def _told(place: SplitArmRecord | SplitShadowRecord) -> tuple[str, UUID, UUID | None]:
    return place.name, place.model_id, place.source_id


def _of_complexity(routing: ComplexityRecord) -> tuple[Reference, ...]:
    judge = routing.classifier.judge_model_id if routing.classifier else None
    return references_of_complexity(((level.level, level.model_ids) for level in routing.levels), judge)


def _of_scope(scope: ScopeRecord) -> tuple[Reference, ...]:
    return references_of_set(scope.model_ids, scope.default_model_id)


def _of_strategy(strategy: StrategyRecord) -> tuple[Reference, ...]:
    return references_of_set(strategy.model_ids)


def _of_allowing(holder: ConsumerRecord | AccessKeyRecord | CredentialRecord) -> tuple[Reference, ...]:
    return references_of_set(holder.model_ids, place="allowed model")


def _of_model(model: ModelRecord) -> tuple[Reference, ...]:
    return references_of_model(
        model.id,
        model.aliases if model.is_active else (),
        model.model_type if model.is_default else None,
        model.replacement_model_id,
    )


def _of_price(price: PriceRecord) -> tuple[Reference, ...]:
    return references_of_price(price.model_id)


_REFERENCES: Mapping[type[Record], Callable[[Any], tuple[Reference, ...]]] = {
    ChainRecord: _of_chain,
    SplitRecord: _of_split,
    ComplexityRecord: _of_complexity,
    ScopeRecord: _of_scope,
    StrategyRecord: _of_strategy,
    ConsumerRecord: _of_allowing,
    AccessKeyRecord: _of_allowing,
    CredentialRecord: _of_allowing,
    ModelRecord: _of_model,
    PriceRecord: _of_price,
}
_NAMED: tuple[type[Record], ...] = (SupplierRecord, CapabilityRecord, SourceRecord)
FOLLOWED: Mapping[str, type[Record]] = {record.kind: record for record in (*_NAMED, *_REFERENCES)}
"""The records that integrity follows, by kind."""
