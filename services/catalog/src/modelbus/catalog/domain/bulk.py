"""Bulk changes: the same change to many models, and what came of it for each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.references import Finding
from modelbus.catalog.domain.tags import with_tag, without_tag

MOST_AT_ONCE = 10_000
"""Models that one change may touch: they are held, versioned and told together."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Which tags and categories are given to models, and which are taken."""

    add_tag_ids: Sequence[UUID] = ()
    remove_tag_ids: Sequence[UUID] = ()
    add_category_ids: Sequence[UUID] = ()
    remove_category_ids: Sequence[UUID] = ()

    def put_on(self, model: Model, ruled: Collection[UUID]) -> Model:
        """Answer the model with them; `ruled` are the tags that have a rule, which must not give them again."""
        for tag_id in self.add_tag_ids:
            model = with_tag(model, tag_id)
        for tag_id in self.remove_tag_ids:
            model = without_tag(model, tag_id, has_rule=tag_id in ruled)
        added = [each for each in self.add_category_ids if each not in model.category_ids]
        kept = [each for each in model.category_ids if each not in self.remove_category_ids]
        return replace(model, category_ids=[*kept, *added])


@dataclass(frozen=True, slots=True)
class BulkChange:
    """What is to become of each of the models."""

    fields: Mapping[str, Any]
    """Fields that are set alike in all."""
    labels: Labels = Labels()
    ruled: Collection[UUID] = ()
    """Those of the tags that have a rule."""

    @property
    def successor(self) -> UUID | None:
        """The model that is named in place of all of them, if one is."""
        found: UUID | None = self.fields.get("replacement_model_id")
        return found

    def applied(self, model: Model) -> Model:
        """Answer what becomes of one of them."""
        return self.labels.put_on(replace(model, **self.fields), self.ruled)


@dataclass(frozen=True, slots=True)
class ChangedModel:
    """One model that is another than before."""

    id: UUID
    name: str
    changed: Mapping[str, Sequence[Any]]
    """Each field that differs, with its value before and after."""


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What came of a bulk change, or would."""

    matched: int
    models: Sequence[ChangedModel]
    became_available: int
    became_unavailable: int
    findings: Sequence[Finding] = field(default_factory=tuple)
    """References that break by it, the worst first."""
    is_refused: bool = False
    """Whether it needs the caller's consent to them."""
