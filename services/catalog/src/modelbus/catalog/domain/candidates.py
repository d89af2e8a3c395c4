"""Candidates: every value that somebody tells of a field, the one to be believed first before the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from modelbus.catalog.domain.background import Remark, read_told, remarks_in
from modelbus.catalog.domain.models import CAPABILITIES, FILED_FIELDS, Model, ModelType
from modelbus.catalog.domain.provenance import (
    ADMINISTRATOR,
    Candidate,
    Teller,
    by_file,
    confidence_of,
    read_telling,
)
from modelbus.catalog.domain.sources import Origin, Source


class ToldField(StrEnum):
    """A field of a model of which it is known who told it."""

    DISPLAY_NAME = "display_name"
    MODEL_TYPE = "model_type"
    CONTEXT_WINDOW = "context_window"
    MAX_OUTPUT_TOKENS = "max_output_tokens"
    MODALITIES = "modalities"
    CAPABILITIES = "capabilities"
    KNOWLEDGE_CUTOFF = "knowledge_cutoff"
    DEPRECATED_AT = "deprecated_at"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a field holds, on whose word, and what others say of it."""

    field: str
    present: Candidate
    others: list[Candidate]


def standing_of(model: Model, field: str, sources: Sequence[Source]) -> Standing:
    """Answer why the field holds what it does; the model's sources come with the preferred one first."""
    telling = read_telling(_written(model, field))
    told = list(candidates(field, sources))
    is_it = [
        each
        for each in told
        if (each.teller, each.file) == (telling.teller, telling.file)
        and telling.supplier_id in {None, each.supplier_id}
    ]
    value = _as_json(getattr(model, field))
    teller = telling.teller
    present = Candidate(value, teller, confidence_of(teller, is_exact=False), telling.supplier_id, file=telling.file)
    if is_it:
        present = replace(is_it[0], value=value)
    return Standing(field, present, [each for each in told if each not in is_it[:1]])


def candidates(field: str, sources: Sequence[Source]) -> Iterator[Candidate]:
    """Answer what listings say of a field, then files, then what is inferred."""
    listed = [source for source in sources if source.is_listed]
    for source in listed:
        if field in source.said:
            teller = Teller.LISTING
            confidence = confidence_of(teller, is_exact=True)
            yield Candidate(source.said[field], teller, confidence, source.supplier_id, source.id)
    remarks = [(source, remark) for source in listed for remark in remarks_in(source.background)]
    for source, remark in sorted(remarks, key=lambda each: each[1].file is None):
        if field in remark.told:
            yield _of_remark(remark.told[field], source, remark)


def released(model: Model, fields: Sequence[str], sources: Sequence[Source]) -> Model:
    """Give fields back that an administrator told: each gets what is to be believed first, else what it began with."""
    values: dict[str, Any] = {}
    provenance = dict(model.provenance)
    for field in fields:
        if _written(model, field) != ADMINISTRATOR:
            continue
        provenance.pop(field, None)
        best = next((each for each in candidates(field, sources) if _is_possible(model, field, each)), None)
        values[field] = _default(model, field) if best is None else read_told(field, best.value)
        if best is not None:
            provenance[field] = _by(best)
    return replace(model, **values, provenance=provenance)


def cost_of(source: Source) -> Candidate:
    """Answer on whose word the source costs what it does."""
    if source.cost_origin == Origin.METADATA:
        remark = next((each for each in remarks_in(source.background) if each.tells_cost), None)
        if remark is not None:
            return _of_remark(source.cost, source, remark)
    teller = Teller(source.cost_origin)
    confidence = confidence_of(teller, is_exact=False)
    supplier_id = None if teller == Teller.ADMINISTRATOR else source.supplier_id
    return Candidate(source.cost, teller, confidence, supplier_id, source.id)


def _of_remark(value: Any, source: Source, remark: Remark) -> Candidate:
    teller = Teller.INFERRED if remark.file is None else Teller.METADATA
    confidence = confidence_of(teller, is_exact=remark.is_exact)
    return Candidate(value, teller, confidence, source.supplier_id, source.id, remark.file, remark.entry)


def _written(model: Model, field: str) -> str | None:
    """Answer who told the field; before anybody else could, administrators did."""
    if field not in model.provenance and field in {*FILED_FIELDS, CAPABILITIES} and getattr(model, field):
        return ADMINISTRATOR
    return model.provenance.get(field)


def _by(best: Candidate) -> str:
    assert best.supplier_id is not None  # noqa: S101 - every candidate comes from a source
    return str(best.supplier_id) if best.teller == Teller.LISTING else by_file(best.file, best.supplier_id)


def _is_possible(model: Model, field: str, candidate: Candidate) -> bool:
    if field != "deprecated_at" or model.retires_at is None:
        return True
    return bool(read_told(field, candidate.value) <= model.retires_at)


def _default(model: Model, field: str) -> Any:
    match field:
        case "display_name":
            return model.name
        case "model_type":
            return ModelType.LANGUAGE.value
        case "capabilities":
            return {}
    return None


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if hasattr(value, "isoformat") else value
