"""Splits over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field, StringConstraints

from modelbus.catalog.actions import splits as actions
from modelbus.catalog.api.chains import ChainName
from modelbus.catalog.api.checks import Checked, CheckedView
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.references import ReferenceView, Wanted, WarningView
from modelbus.catalog.api.views import ByName, Changes, Input, Page, Shown, Text, page_of
from modelbus.catalog.domain.splits import BY_NOTHING, LARGEST_WEIGHT, MOST_ARMS, MOST_SHADOWS, Arm, Shadow
from modelbus.catalog.store import splits as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/splits", tags=["splits"], route_class=OnceRoute, dependencies=GUARDS)

# It travels in a header of answers.
VariantName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
StickyBy = Annotated[
    str,
    # A header's name is a token: https://www.rfc-editor.org/rfc/rfc9110#section-5.1
    StringConstraints(pattern=r"^(none|user|header:[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64})$"),
    AfterValidator(str.lower),
    Field(
        description="What draws the same arm again: `user` as the request names them (`user`, `safety_identifier`, or "
        "`metadata.user_id` of Anthropic's), `header:<name>`, or `none`. A request without it is drawn by chance."
    ),
]
Weight = Annotated[int, Field(ge=0, le=LARGEST_WEIGHT)]
Percent = Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)]


class NewVariant(Input):
    """A model, or one exact source of it."""

    name: VariantName
    """What answers, usage and explanations call it."""
    model_id: UUID
    source_id: UUID | None = None
    """A source of that model; where left out, any source of it may serve."""


class NewArm(NewVariant):
    """What takes a share of the requests."""

    weight: Weight
    """Its share is its part of all weights; with 0 it serves only when the others can't."""

    def arm(self) -> Arm:
        """Answer the arm."""
        return Arm(self.name, self.model_id, self.weight, self.source_id)


class NewShadow(NewVariant):
    """What is sent copies of requests, and whose answers nobody sees."""

    percent: Percent
    """Of the requests that were served, how many are copied."""

    def shadow(self) -> Shadow:
        """Answer the shadow."""
        return Shadow(self.name, self.model_id, self.percent, self.source_id)


Arms = Annotated[list[NewArm], Field(min_length=1, max_length=MOST_ARMS)]
Shadows = Annotated[list[NewShadow], Field(max_length=MOST_SHADOWS)]


class NewSplit(Input):
    """Shares of the requests to one name."""

    name: ChainName
    description: Text | None = None
    is_active: bool = True
    sticky_by: StickyBy = BY_NOTHING
    arms: Arms
    shadows: Shadows = Field(default_factory=list)

    def fields(self) -> dict[str, Any]:
        """Answer what the split is made of."""
        return {**self.model_dump(), **_variants(self)}


class SplitChanges(Changes):
    """Fields to change; arms or shadows that are given replace all that there were."""

    name: ChainName = ""
    description: Text | None = None
    is_active: bool = True
    sticky_by: StickyBy = BY_NOTHING
    arms: Arms = Field(default_factory=list)
    shadows: Shadows = Field(default_factory=list)

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        given = super().given()
        return given | {name: variants for name, variants in _variants(self).items() if name in given}


class ArmView(ReferenceView):
    """An arm, and whether it could serve right now."""

    name: str
    source_id: UUID | None
    """Null where any source of the model may serve."""
    weight: int


class ShadowView(ReferenceView):
    """A shadow, and whether it could serve right now."""

    name: str
    source_id: UUID | None
    percent: float


class SplitView(CheckedView):
    """A split as administrators see it."""

    id: UUID
    name: str
    description: str | None
    is_active: bool
    sticky_by: str
    arms: list[ArmView]
    shadows: list[ShadowView]
    warnings: list[WarningView]
    """What of it could not serve right now; the share of an arm that can't goes to the others by their weights."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_splits(session: Reading, paging: ByName, wanted: Wanted) -> Page[SplitView]:
    """List splits, and which of their arms and shadows could serve right now."""
    return page_of(SplitView, await store.list_splits(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_split(new: NewSplit, session: Transaction, answer: Shown, checked: Checked) -> SplitView:
    """Add a split; its name may not be that of a model, alias or chain. Arms that can't serve are warned of."""
    split = await actions.create_split(session, new.fields())
    return await _checked(checked, await show_split(split.id, session, answer))


@routes.get("/{split_id}")
async def show_split(split_id: UUID, session: Reading, answer: Shown) -> SplitView:
    """Show a split, and which of its arms and shadows could serve right now."""
    return answer(SplitView, await store.show_split(session, split_id))


@routes.patch("/{split_id}")
async def change_split(
    split_id: UUID, changes: SplitChanges, session: Transaction, answer: Shown, checked: Checked
) -> SplitView:
    """Change some fields of a split; arms or shadows that are given replace all that there were.

    Changing weights moves no more of those who stick than the change asks for.
    """
    await actions.change_split(session, split_id, changes.given())
    return await _checked(checked, await show_split(split_id, session, answer))


@routes.put("/{split_id}")
async def replace_split(
    split_id: UUID, new: NewSplit, session: Transaction, answer: Shown, checked: Checked
) -> SplitView:
    """Set every field of a split."""
    await actions.change_split(session, split_id, new.fields())
    return await _checked(checked, await show_split(split_id, session, answer))


@routes.delete("/{split_id}", status_code=204)
async def delete_split(split_id: UUID, session: Transaction) -> None:
    """Delete a split; callers who name it are refused."""
    await actions.delete_split(session, split_id)


@routes.post("/{split_id}/enable")
async def enable_split(split_id: UUID, session: Transaction, answer: Shown) -> SplitView:
    """Put a split into service."""
    await actions.change_split(session, split_id, {"is_active": True})
    return await show_split(split_id, session, answer)


@routes.post("/{split_id}/disable")
async def disable_split(split_id: UUID, session: Transaction, answer: Shown) -> SplitView:
    """Take a split out of service; callers who name it are refused."""
    await actions.change_split(session, split_id, {"is_active": False})
    return await show_split(split_id, session, answer)


def _variants(given: NewSplit | SplitChanges) -> dict[str, Any]:
    return {
        "arms": tuple(each.arm() for each in given.arms),
        "shadows": tuple(each.shadow() for each in given.shadows),
    }


async def _checked(checked: Checked, split: SplitView) -> SplitView:
    places = {"name", "model_id", "source_id"}
    config = split.model_dump(
        mode="json", include={"id": True, "name": True, "arms": {"__all__": places}, "shadows": {"__all__": places}}
    )
    return await checked(split, {"config_type": "split", **config})
