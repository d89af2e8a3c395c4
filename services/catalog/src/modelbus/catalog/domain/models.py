"""A model is what a user names; it is available while it is active and at least one source of it is."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar
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


class Lifecycle(StrEnum):
    """Where a model stands in its life, as its maker says."""

    ACTIVE = "active"
    DEPRECATED = "deprecated"
    RETIRED = "retired"


class Tier(StrEnum):
    """What a consumer may use; each may use what the one before it may."""

    FREE = "free"
    PRO = "pro"
    MAX = "max"
    OWN = "own"


class ParameterType(StrEnum):
    """What the value of a parameter must be."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STRING = "string"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Model:
    """One unified record per public name."""

    KIND: ClassVar[str] = "model"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset({"is_available", "reason", "since", "rule_tag_ids"})

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
    custom_name: str | None = None
    """What administrators call it instead of the display name."""
    sub_type: str | None = None
    knowledge_cutoff: date | None = None
    lifecycle: str = Lifecycle.ACTIVE
    deprecated_at: datetime | None = None
    retires_at: datetime | None = None
    replacement_model_id: UUID | None = None
    tier: str = Tier.FREE
    """The tier that a consumer needs at least."""
    is_featured: bool = False
    is_default: bool = False
    """Serves requests of its type that name no model; exactly one of each type does, or none."""
    capabilities: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The id of each capability that it has, as text, to its settings."""
    parameters: list[dict[str, Any]] = field(default_factory=list)
    """As in `contracts.records.ModelParameterRecord`."""
    category_ids: list[UUID] = field(default_factory=list)
    tag_ids: list[UUID] = field(default_factory=list)
    """Given by hand; they stay, whatever the rules say."""
    untagged_ids: list[UUID] = field(default_factory=list)
    """Taken away by hand; no rule gives them."""
    rule_tag_ids: list[UUID] = field(default_factory=list)
    """What the rules gave when they were last asked."""

    @property
    def effective_tag_ids(self) -> list[UUID]:
        """The tags that users see: those by hand, and those by rule that nobody took away."""
        return sorted({*self.tag_ids, *self.rule_tag_ids} - {*self.untagged_ids})


def may_tell(model: Model, field: str, supplier_id: UUID) -> bool:
    """Tell whether a supplier's listing may set the field: nobody has told it, or this supplier did.

    The first supplier to tell a field keeps it, so that two listings that disagree do not take turns; an
    administrator's value is never overwritten.
    """
    return model.provenance.get(field) in {None, str(supplier_id)}
