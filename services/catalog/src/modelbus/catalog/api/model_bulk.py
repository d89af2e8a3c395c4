"""Bulk changes of models over REST."""

from dataclasses import fields
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from modelbus.catalog.actions import bulk as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.impact import FindingView
from modelbus.catalog.api.model_list import ModelQuery
from modelbus.catalog.api.references import Breaking, each_once
from modelbus.catalog.api.views import Changes, Input, Name, View
from modelbus.catalog.domain.bulk import MOST_AT_ONCE, BulkChange, Labels
from modelbus.catalog.domain.models import Lifecycle, Tier
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Transaction

routes = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=OnceRoute, dependencies=GUARDS)


LabelIds = Annotated[list[UUID], Field(max_length=50), AfterValidator(each_once)]


class BulkChanges(Changes):
    """What is to become of each of them; what is left out stays as it is."""

    is_active: bool = True
    tier: Tier = Tier.FREE
    is_featured: bool = False
    sub_type: Name | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    deprecated_at: AwareDatetime | None = None
    retires_at: AwareDatetime | None = None
    replacement_model_id: UUID | None = None
    add_tag_ids: LabelIds = Field(default_factory=list)
    remove_tag_ids: LabelIds = Field(default_factory=list)
    """A tag that has a rule is not given by it again."""
    add_category_ids: LabelIds = Field(default_factory=list)
    remove_category_ids: LabelIds = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must name at least one field")
        for kind in ("tag", "category"):
            if set(getattr(self, f"add_{kind}_ids")) & set(getattr(self, f"remove_{kind}_ids")):
                raise ValueError(f"must not both add and remove the same {kind}")
        return self

    def change(self) -> BulkChange:
        """Answer it as the action takes it."""
        given = self.given()
        labels = Labels(**{field.name: given.pop(field.name, ()) for field in fields(Labels)})
        return BulkChange(given, labels)


class NewBulk(Input):
    """A change to many models: to those that are named, or to all that match."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)] | None = None
    filter: ModelQuery | None = None
    """As in the query of the list; `{}` matches every model."""
    change: BulkChanges
    preview: bool = False
    """Do nothing, and answer exactly what would come of it."""

    @model_validator(mode="after")
    def _selects_once(self) -> Self:
        if (self.ids is None) == (self.filter is None):
            raise ValueError("must hold either ids or filter")
        if self.ids is not None:
            each_once(self.ids)
        return self


class ChangedModelView(View):
    """A model that is another than before."""

    id: UUID
    name: str
    changed: dict[str, list[Any]]
    """Each field that differs, with its value before and after."""


class BulkView(View):
    """What came of it, or would."""

    preview: bool
    matched: int
    """Models that were selected, whether or not the change changes them."""
    changed: int
    became_available: int
    became_unavailable: int
    models: list[ChangedModelView]
    """Those that changed, in order of creation."""
    findings: list[FindingView]
    """References that break by it, the worst first."""
    is_refused: bool
    """Whether it needs `?force=true` or `?replace_with=`."""


@routes.post("/bulk")
async def change_models(new: NewBulk, session: Transaction, breaking: Breaking) -> BulkView:
    """Change many models in one transaction, or show with `preview` what would come of it."""
    selection = new.filter.wanted() if new.filter is not None else new.ids or []
    done = await actions.change_models(session, selection, new.change.change(), breaking, preview=new.preview)
    return BulkView(
        preview=new.preview,
        matched=done.matched,
        changed=len(done.models),
        became_available=done.became_available,
        became_unavailable=done.became_unavailable,
        models=[ChangedModelView.model_validate(each) for each in done.models],
        findings=[FindingView.model_validate(each) for each in done.findings],
        is_refused=done.is_refused,
    )
