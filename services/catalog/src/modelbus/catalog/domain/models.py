"""A model is what a user names; it is available while it is active and at least one source of it is."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

ADMINISTRATOR = "administrator"
LISTED_FIELDS = frozenset({"display_name", "model_type", "context_window", "max_output_tokens"})
"""What a listing may tell of a model, unless an administrator told it."""


class ModelType(StrEnum):
    """What a model takes and gives."""

    LANGUAGE = "language"
    EMBEDDING = "embedding"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    RERANK = "rerank"
    MODERATION = "moderation"
    MULTIMODAL = "multimodal"


@dataclass(frozen=True, slots=True)
class Model:
    """One unified record per public name."""

    KIND: ClassVar[str] = "model"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset({"is_available", "reason", "since"})

    id: UUID
    name: str
    aliases: list[str]
    display_name: str
    description: str | None
    model_type: str
    context_window: int | None
    max_output_tokens: int | None
    is_active: bool
    is_available: bool
    reason: str | None
    since: datetime
    """When it became available or unavailable."""
    provenance: dict[str, str]
    """Who told a field: `administrator`, or the id of the supplier whose listing did."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1


def may_tell(model: Model, field: str, supplier_id: UUID) -> bool:
    """Tell whether a supplier's listing may set the field: nobody has told it, or this supplier did.

    The first supplier to tell a field keeps it, so that two listings that disagree do not take turns; an
    administrator's value is never overwritten.
    """
    return model.provenance.get(field) in {None, str(supplier_id)}
