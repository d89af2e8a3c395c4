"""The catalog's records become what the index knows of them."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from modelbus.contracts.feed import record_digest
from modelbus.contracts.records import ModelRecord, Record, SourceRecord
from modelbus.contracts.routing import ChainRecord, ComplexityRecord, ScopeRecord
from modelbus.integrity.domain.references import (
    Holder,
    HolderKind,
    Reference,
    references_of_chain,
    references_of_complexity,
    references_of_scope,
)
from modelbus.integrity.domain.targets import DELETED, UNKNOWN, Model, Source

type HolderRecord = ChainRecord | ComplexityRecord | ScopeRecord


def read_model(record: ModelRecord, text: bytes, revision: int) -> Model:
    """Read a model; `text` is the record as it was told, byte by byte."""
    return Model(
        **_known(record, text, revision),
        name=record.name,
        unavailable_because=None if record.is_available else record.reason or UNKNOWN,
    )


def read_source(record: SourceRecord, text: bytes, revision: int) -> Source:
    """Read a source."""
    return Source(
        **_known(record, text, revision),
        model_id=record.model_id,
        supplier_id=record.supplier_id,
        unavailable_because=None if record.is_available else record.reason or UNKNOWN,
    )


def read_holder(record: HolderRecord, text: bytes, revision: int) -> Holder:
    """Read a chain, a complexity routing or a scope with its references."""
    return Holder(
        **_known(record, text, revision),
        kind=HolderKind(record.kind),
        name=record.name,
        is_active=record.is_active,
        references=_REFERENCES[type(record)](record),
    )


def deleted_model(model_id: UUID, name: str | None, revision: int) -> Model:
    """Remember that a model is deleted."""
    return Model(id=model_id, revision=revision, record=None, digest=0, name=name, unavailable_because=DELETED)


def deleted_source(source_id: UUID, known: Source | None, revision: int) -> Source:
    """Remember that a source is deleted, and whose it was."""
    return Source(
        id=source_id,
        revision=revision,
        record=None,
        digest=0,
        model_id=known.model_id if known else None,
        supplier_id=known.supplier_id if known else None,
        unavailable_because=DELETED,
    )


def deleted_holder(holder_id: UUID, kind: HolderKind, name: str | None, revision: int) -> Holder:
    """Remember that a holder is deleted; it refers to nothing."""
    return Holder(
        id=holder_id, revision=revision, record=None, digest=0, kind=kind, name=name, is_active=False, references=()
    )


def _known(record: Record, text: bytes, revision: int) -> dict[str, Any]:
    digest = record_digest(record.kind, record.id, text)
    return {"id": record.id, "revision": revision, "record": text.decode(), "digest": digest}


def _of_chain(chain: ChainRecord) -> tuple[Reference, ...]:
    return references_of_chain((step.id, step.model_id, step.source_id) for step in chain.steps)


def _of_complexity(routing: ComplexityRecord) -> tuple[Reference, ...]:
    return references_of_complexity((level.level, level.model_ids) for level in routing.levels)


def _of_scope(scope: ScopeRecord) -> tuple[Reference, ...]:
    return references_of_scope(scope.model_ids, scope.default_model_id)


_REFERENCES: Mapping[type[Record], Callable[[Any], tuple[Reference, ...]]] = {
    ChainRecord: _of_chain,
    ComplexityRecord: _of_complexity,
    ScopeRecord: _of_scope,
}
