"""Tags over REST: their rules, by tag the models, by model the tags."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from modelbus.catalog.actions import tagging
from modelbus.catalog.actions import tags as actions
from modelbus.catalog.actions.popularity import MOST_DAYS
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.labels import Force, Search, Word
from modelbus.catalog.api.views import Changes, Input, Name, Page, Shown, Text, View, page_of, sorted_by
from modelbus.catalog.domain import tag_rules
from modelbus.catalog.domain.models import ModelType
from modelbus.catalog.domain.tags import Given
from modelbus.catalog.store import tags as store
from modelbus.catalog.store.paging import Paging
from modelbus.catalog.store.tags import TagFilter
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/tags", tags=["tags"], route_class=OnceRoute, dependencies=GUARDS)

OfModels = Annotated[Paging, sorted_by("name")]
"""The page of a list of models."""


class FirstSeenWithin(Input):
    """Models that the catalog has known for less than that many days."""

    kind: Literal["first_seen_within"]
    days: Annotated[int, Field(ge=1, le=3650)]


class TopByUsage(Input):
    """The models that served the most requests in the last days, today included; days are those of UTC."""

    kind: Literal["top_by_usage"]
    count: Annotated[int, Field(ge=1, le=1000)]
    days: Annotated[int, Field(ge=1, le=MOST_DAYS)]


class HasCapability(Input):
    """Models that have the capability."""

    kind: Literal["has_capability"]
    capability_id: UUID


class InputPriceBelow(Input):
    """Models whose input consumers are charged less for now; a model without a price is none of them."""

    kind: Literal["input_price_below"]
    usd_per_million: Annotated[Decimal, Field(gt=0, lt=1_000_000_000, decimal_places=12)]


class NameMatches(Input):
    """Models whose public name is of that shape: `*` stands for anything, `?` for one character; in any case."""

    kind: Literal["name_matches"]
    pattern: Annotated[Name, Field(max_length=200)]


class ContextAtLeast(Input):
    """Models with at least that many tokens of context."""

    kind: Literal["context_at_least"]
    tokens: Annotated[int, Field(ge=1, le=1_000_000_000)]


class IsOfType(Input):
    """Models of the type."""

    kind: Literal["model_type"]
    model_type: ModelType


Rule = Annotated[
    FirstSeenWithin | TopByUsage | HasCapability | InputPriceBelow | NameMatches | ContextAtLeast | IsOfType,
    Field(discriminator="kind"),
]
"""How models get a tag without anybody's hand."""
Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="`#rrggbb`.")]
Position = Annotated[int, Field(ge=0, le=1_000_000)]


class NewTag(Input):
    """A label that users see."""

    name: Word
    """For programs: lower-case letters, digits, `_`, `.` and `-`."""
    display_name: Name | None = None
    """For people; the name where it is left out."""
    description: Text | None = None
    color: Color | None = None
    position: Position = 0
    """Order in which users see tags; of equal ones the name decides."""
    rule: Rule | None = None
    """Null gives it by hand alone."""

    def fields(self) -> dict[str, Any]:
        """Answer what the tag is made of, but for its rule."""
        return {**self.model_dump(exclude={"rule"}), "display_name": self.display_name or self.name}


class TagChanges(Changes):
    """Fields to change; another rule gives and takes the tag at once."""

    name: Word = ""
    display_name: Name = ""
    description: Text | None = None
    color: Color | None = None
    position: Position = 0
    rule: Rule | None = None

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent, the rule as the domain knows it."""
        fields = super().given()
        return fields | {"rule": _read(self.rule)} if "rule" in fields else fields


class PreviewWanted(Input):
    """A rule to try."""

    rule: Rule | None = None
    """Null previews the end of the present rule."""


class TagView(View):
    """A tag as administrators see it."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    color: str | None
    position: int
    rule: dict[str, Any] | None
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class ModelOfTag(View):
    """A model, and how it stands to the tag."""

    id: UUID
    name: str
    display_name: str
    model_type: str
    is_available: bool
    by_hand: bool
    by_rule: bool
    """Whether the rule gave it when it was last asked."""
    taken_away: bool
    """By hand: it does not have the tag, whatever the rule says."""


class TagOfModel(View):
    """A tag of a model, as users see it."""

    id: UUID
    name: str
    display_name: str
    color: str | None
    by_hand: bool
    by_rule: bool


class ModelWithTags(View):
    """A model with its tags."""

    id: UUID
    name: str
    display_name: str
    model_type: str
    is_available: bool
    tags: list[TagOfModel]


class NamedModel(View):
    """A model by name."""

    id: UUID
    name: str


class PreviewView(View):
    """What would come of a rule; nothing was changed."""

    matching: int
    """Models to which the rule would give the tag, whatever was done by hand."""
    gaining: int
    losing: int
    gains: list[NamedModel]
    """The first 200 of those that users would see with the tag, and do not now."""
    loses: list[NamedModel]


@routes.get("")
async def list_tags(
    session: Reading,
    paging: Annotated[Paging, sorted_by("name", "updated_at", "position")],
    name: str | None = None,
    search: Search = None,
    has_rule: bool | None = None,  # noqa: FBT001 - FastAPI passes by keyword
) -> Page[TagView]:
    """List tags."""
    return page_of(TagView, await store.list_tags(session, TagFilter(name, search, has_rule), paging=paging), paging)


@routes.post("", status_code=201)
async def create_tag(new: NewTag, session: Transaction, answer: Shown) -> TagView:
    """Add a tag; whom its rule gives it has it at once."""
    return answer(TagView, await actions.create_tag(session, new.fields(), _read(new.rule)))


@routes.get("/by-model")
async def list_models_with_tags(
    session: Reading,
    paging: OfModels,
    search: Annotated[
        str | None, Query(max_length=200, description="Part of the model's name or display name.")
    ] = None,
    model_type: ModelType | None = None,
) -> Page[ModelWithTags]:
    """List models, each with the tags that users see of it."""
    found = await store.list_models_with_tags(session, search=search, model_type=model_type, paging=paging)
    return page_of(ModelWithTags, await actions.with_their_tags(session, found), paging)


@routes.get("/{tag_id}")
async def show_tag(tag_id: UUID, session: Reading, answer: Shown) -> TagView:
    """Show a tag."""
    return answer(TagView, await store.get_tag(session, tag_id))


@routes.get("/{tag_id}/models")
async def list_models_of_tag(
    tag_id: UUID,
    session: Reading,
    paging: OfModels,
    given: Annotated[
        Given | None, Query(description="Only models that stand to it so; left out, all who have it.")
    ] = None,
) -> Page[ModelOfTag]:
    """List the models that have a tag; those from whom it was taken by hand are listed if asked for."""
    await store.get_tag(session, tag_id)
    return page_of(ModelOfTag, await store.list_models_of_tag(session, tag_id, given, paging=paging), paging)


@routes.post("/{tag_id}/preview")
async def preview_tag(tag_id: UUID, wanted: PreviewWanted, session: Reading) -> PreviewView:
    """Show whom a rule would give the tag, and who would lose it; nothing is changed."""
    await store.get_tag(session, tag_id)
    return PreviewView.model_validate(await tagging.preview_rule(session, tag_id, _read(wanted.rule)))


@routes.patch("/{tag_id}")
async def change_tag(tag_id: UUID, changes: TagChanges, session: Transaction, answer: Shown) -> TagView:
    """Change some fields of a tag; another rule gives and takes it at once."""
    return answer(TagView, await actions.change_tag(session, tag_id, changes.given()))


@routes.put("/{tag_id}")
async def replace_tag(tag_id: UUID, new: NewTag, session: Transaction, answer: Shown) -> TagView:
    """Set every field of a tag; another rule gives and takes it at once."""
    fields = new.fields() | {"rule": _read(new.rule)}
    return answer(TagView, await actions.change_tag(session, tag_id, fields))


@routes.delete("/{tag_id}", status_code=204)
async def delete_tag(
    tag_id: UUID,
    session: Transaction,
    force: Force = False,  # noqa: FBT002 - FastAPI passes by keyword
) -> None:
    """Delete a tag; refused while models have it by hand, unless forced."""
    await actions.delete_tag(session, tag_id, force=force)


def _read(rule: Input | None) -> tag_rules.Rule | None:
    return None if rule is None else tag_rules.read(rule.model_dump(mode="json"))
