"""Targets are what references name: models, and sources of models."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from modelbus.integrity.domain.index import Known

DELETED = "deleted"
"""Why a target that the catalog does not hold is not available."""
UNKNOWN = "unknown"
"""Why a target is not available of which the catalog does not say why."""


class TargetKind(StrEnum):
    """What kind of thing a reference names."""

    MODEL = "model"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model(Known):
    """A model, as far as references are concerned."""

    name: str | None
    """The last that was told; None for one that was only ever told to be deleted."""
    unavailable_because: str | None
    """None while it is available."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Known):
    """One supplier's offer of a model, as far as references are concerned."""

    model_id: UUID | None
    supplier_id: UUID | None
    unavailable_because: str | None
    """None while it is available."""
