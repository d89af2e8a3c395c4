"""A proposal is a holder that is not saved yet, judged over what is there now."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from modelbus.integrity.domain.references import Holder, Reference
from modelbus.integrity.domain.targets import Rates, TargetKind


@dataclass(frozen=True, slots=True)
class Named:
    """What a field of a proposal names."""

    kind: TargetKind
    id: UUID
    model_id: UUID | None = None
    """Of a source: the model that it must serve."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A holder as it would be, in service."""

    holder: Holder
    references: tuple[Reference, ...]
    named: Mapping[str, Named]
    """By the path of the field."""
    charge: Rates | None = None
    """Of a price: what the model would be charged."""
