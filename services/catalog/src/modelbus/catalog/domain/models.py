"""A model is what a user names; it is available while it is active and at least one source of it is."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from modelbus.catalog.domain.model_errors import DefaultModelError, WrongLifecycleError
from modelbus.catalog.domain.provenance import ADMINISTRATOR, yields_to_background, yields_to_listing

LISTED_FIELDS = frozenset({"display_name", "model_type", "context_window", "max_output_tokens", "modalities"})
"""What a listing may tell of a model, unless an administrator told it."""
FILED_FIELDS = frozenset({"knowledge_cutoff", "deprecated_at"})
"""What only metadata files tell beside it."""
TOLD_FIELDS = LISTED_FIELDS | FILED_FIELDS
"""What is somebody's word on a model, and may be another's."""
CAPABILITIES = "capabilities"
"""A listing may tell these too; administrators give and take them one by one."""


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
    """Who told a field: `administrator`, the id of the supplier whose listing did, or as `domain.provenance` writes."""
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
    modalities: str | None = None
    """What goes in and what comes out, as in `text+image->text`."""

    def telling_capabilities(self) -> dict[str, str]:
        """Answer the provenance once an administrator has given or taken a capability."""
        return {**self.provenance, CAPABILITIES: ADMINISTRATOR}

    def is_retired(self, now: datetime) -> bool:
        """Tell whether its maker serves it no more, as far as the configuration says."""
        return self.lifecycle == Lifecycle.RETIRED or (self.retires_at is not None and self.retires_at <= now)

    def is_in_service(self, now: datetime) -> bool:
        """Tell whether its configuration lets it serve, provided that a source does."""
        return self.is_active and not self.is_retired(now)

    @property
    def capability_ids(self) -> list[UUID]:
        """The capabilities that it has, whatever their settings."""
        return [UUID(key) for key in self.capabilities]

    @property
    def effective_tag_ids(self) -> list[UUID]:
        """The tags that users see: those by hand, and those by rule that nobody took away."""
        return sorted({*self.tag_ids, *self.rule_tag_ids} - {*self.untagged_ids})


def refuse_contradictions(before: Model | None, after: Model) -> None:
    """Check what the fields of a model say together, and what may become of the model that it was.

    Raises:
        WrongLifecycleError: it would retire before it is deprecated.
        DefaultModelError: it is the default of a type, and would become one of another.
    """
    if after.deprecated_at is not None and after.retires_at is not None and after.retires_at < after.deprecated_at:
        raise WrongLifecycleError
    if before is not None and before.is_default and after.model_type != before.model_type:
        raise DefaultModelError(before.name, before.model_type)


def may_tell(model: Model, field: str, supplier_id: UUID) -> bool:
    """Tell whether a supplier's listing may set the field: nobody better has told it, or this supplier did."""
    return not _is_fixed(model, field) and yields_to_listing(model.provenance.get(field), supplier_id)


def may_fill(model: Model, field: str, value: Any, supplier_id: UUID) -> bool:
    """Tell whether a metadata file may set the field, of which this supplier's listing says nothing."""
    if field not in model.provenance and field in FILED_FIELDS and getattr(model, field) is not None:
        # Given by hand before files told it.
        return False
    if field == "deprecated_at" and model.retires_at is not None and value > model.retires_at:
        return False
    return not _is_fixed(model, field) and yields_to_background(model.provenance.get(field), supplier_id)


def _is_fixed(model: Model, field: str) -> bool:
    """Tell whether the field stays, whoever told it.

    Who is the default of a type stays of that type, or requests that name no model would find nobody. Capabilities
    that were given by hand, or imported, before listings told them stay as well.
    """
    if field == "model_type":
        return model.is_default
    return field == CAPABILITIES and bool(model.capabilities) and field not in model.provenance
