"""Provenance: who told what a model has in a field, and whose word goes before whose."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

ADMINISTRATOR = "administrator"
INFERRED = "inferred"
METADATA = "metadata"


class Teller(StrEnum):
    """Who told a value; each goes before those after it."""

    ADMINISTRATOR = ADMINISTRATOR
    LISTING = "listing"
    METADATA = METADATA
    INFERRED = INFERRED


class Confidence(StrEnum):
    """How far a value is to be believed."""

    CERTAIN = "certain"
    """An administrator said it."""
    HIGH = "high"
    """The supplier says it of its own offer."""
    MEDIUM = "medium"
    """A metadata file says it of this very model."""
    LOW = "low"
    """It is concluded: from a model of the same name, from another state of the model, or from the name alone."""


@dataclass(frozen=True, slots=True)
class Telling:
    """Who told a value, as far as that is known."""

    teller: Teller
    supplier_id: UUID | None = None
    """Whose listing it was, or to whose listing the file was read."""
    file: str | None = None


def by_file(file: str | None, supplier_id: UUID) -> str:
    """Write that a metadata file told it, read to the listing of that supplier; without a file it was inferred."""
    return INFERRED if file is None else f"{METADATA}:{file}:{supplier_id}"


def read_telling(written: str | None) -> Telling:
    """Read who told a field from a model's `provenance`; what nobody told is inferred."""
    if written is None or written == INFERRED:
        return Telling(Teller.INFERRED)
    if written == ADMINISTRATOR:
        return Telling(Teller.ADMINISTRATOR)
    teller, _, rest = written.partition(":")
    if teller == METADATA:
        file, _, supplier_id = rest.rpartition(":")
        return Telling(Teller.METADATA, UUID(supplier_id), file)
    return Telling(Teller.LISTING, UUID(written))


def yields_to_listing(written: str | None, supplier_id: UUID) -> bool:
    """Tell whether a supplier's listing may say otherwise.

    The first supplier to tell a field keeps it, so that two listings that disagree do not take turns.
    """
    telling = read_telling(written)
    if telling.teller == Teller.LISTING:
        return telling.supplier_id == supplier_id
    return telling.teller != Teller.ADMINISTRATOR


def yields_to_background(written: str | None, supplier_id: UUID) -> bool:
    """Tell whether what a file says may take its place, where that supplier's listing says nothing of the field.

    What a file says to one supplier's listing stays until that one says otherwise: two suppliers may call a model by
    different names, and find different entries.
    """
    telling = read_telling(written)
    if telling.teller == Teller.INFERRED:
        return True
    return telling.teller != Teller.ADMINISTRATOR and telling.supplier_id == supplier_id


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value that a field has or could have, and on whose word."""

    value: Any
    """As JSON has it."""
    teller: Teller
    confidence: Confidence
    supplier_id: UUID | None = None
    source_id: UUID | None = None
    file: str | None = None
    entry: str | None = None
    """What the file calls the model."""


def confidence_of(teller: Teller, *, is_exact: bool) -> Confidence:
    """Answer how far a value is to be believed; `is_exact` is whether a file says it of this very model."""
    if teller == Teller.METADATA and is_exact:
        return Confidence.MEDIUM
    return _CONFIDENCES[teller]


_CONFIDENCES = {
    Teller.ADMINISTRATOR: Confidence.CERTAIN,
    Teller.LISTING: Confidence.HIGH,
    Teller.METADATA: Confidence.LOW,
    Teller.INFERRED: Confidence.LOW,
}
