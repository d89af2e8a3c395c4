"""Categories over REST: a tree, and which models are where in it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from modelbus.catalog.actions import categories as actions
from modelbus.catalog.actions import model_labels
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.labels import ByModel, Force, Search, Word
from modelbus.catalog.api.views import Changes, Input, Name, Page, Shown, Text, View, page_of, sorted_by
from modelbus.catalog.domain.categories import depth_first
from modelbus.catalog.store import categories as store
from modelbus.catalog.store.categories import CategoryFilter, CountedCategory
from modelbus.catalog.store.paging import Paging
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/categories", tags=["categories"], route_class=OnceRoute, dependencies=GUARDS)

Position = Annotated[int, Field(ge=0, le=1_000_000)]


class NewCategory(Input):
    """A place in the tree of categories."""

    name: Word
    """For programs: lower-case letters, digits, `_`, `.` and `-`."""
    display_name: Name | None = None
    """For people; the name where it is left out."""
    description: Text | None = None
    parent_id: UUID | None = None
    """Null puts it at the root."""
    position: Position | None = None
    """Its place among its siblings, which move on for it; null puts it last."""

    def fields(self) -> dict[str, Any]:
        """Answer what the category is made of, but for its position."""
        return {**self.model_dump(exclude={"position"}), "display_name": self.display_name or self.name}


class CategoryChanges(Changes):
    """Fields to change; another parent or position moves the category with all that is below it."""

    name: Word = ""
    display_name: Name = ""
    description: Text | None = None
    parent_id: UUID | None = None
    position: Position = 0


class CategoryView(View):
    """A category."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    parent_id: UUID | None
    position: int
    """Order among its siblings, from 0."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class CategoryNode(View):
    """A category with all that is below it."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    position: int
    version: int
    models: int
    """In the category itself."""
    models_below: int
    """In it or in any category below it, each model counted once."""
    children: list["CategoryNode"]


class CategoryTree(View):
    """All categories."""

    items: list[CategoryNode]
    """The roots, in their order."""


class NewCategoryAssociation(Input):
    """That a model is in a category."""

    model_id: UUID
    category_id: UUID


class CategoryAssociationView(View):
    """That a model is in a category."""

    model_id: UUID
    model_name: str
    category_id: UUID = Field(validation_alias="id")
    category_name: str


@routes.get("")
async def list_categories(
    session: Reading,
    paging: Annotated[Paging, sorted_by("name", "updated_at", "position")],
    name: str | None = None,
    search: Search = None,
    parent_id: UUID | None = None,
    is_root: bool | None = None,  # noqa: FBT001 - FastAPI passes by keyword
) -> Page[CategoryView]:
    """List categories, one beside the other."""
    wanted = CategoryFilter(name, search, parent_id, is_root)
    return page_of(CategoryView, await store.list_categories(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_category(new: NewCategory, session: Transaction, answer: Shown) -> CategoryView:
    """Add a category."""
    return answer(CategoryView, await actions.create_category(session, new.fields(), new.position))


@routes.get("/tree", response_model=CategoryTree)
async def show_category_tree(session: Reading) -> Response:
    """Show the whole tree, with the number of models in each category and below it."""
    return Response(_nested(await store.counted_categories(session)), media_type="application/json")


@routes.get("/associations")
async def list_category_associations(
    session: Reading, paging: ByModel, model_id: UUID | None = None, category_id: UUID | None = None
) -> Page[CategoryAssociationView]:
    """List which model is in which category."""
    found = await store.list_associations(session, model_id=model_id, category_id=category_id, paging=paging)
    return page_of(CategoryAssociationView, found, paging)


@routes.post("/associations", status_code=201)
async def associate_category(new: NewCategoryAssociation, session: Transaction) -> CategoryAssociationView:
    """Put a model into a category; it may be in many."""
    model = await model_labels.put_into_category(session, new.model_id, new.category_id)
    category = await store.get_category(session, new.category_id)
    return CategoryAssociationView(
        id=category.id, category_name=category.name, model_id=model.id, model_name=model.name
    )


@routes.delete("/associations", status_code=204)
async def dissociate_category(session: Transaction, model_id: UUID, category_id: UUID) -> None:
    """Take a model out of a category."""
    await model_labels.take_out_of_category(session, model_id, category_id)


@routes.get("/{category_id}")
async def show_category(category_id: UUID, session: Reading, answer: Shown) -> CategoryView:
    """Show a category."""
    return answer(CategoryView, await store.get_category(session, category_id))


@routes.patch("/{category_id}")
async def change_category(
    category_id: UUID, changes: CategoryChanges, session: Transaction, answer: Shown
) -> CategoryView:
    """Change some fields of a category, or move it; it can't be put below itself."""
    return answer(CategoryView, await actions.change_category(session, category_id, changes.given()))


@routes.put("/{category_id}")
async def replace_category(category_id: UUID, new: NewCategory, session: Transaction, answer: Shown) -> CategoryView:
    """Set every field of a category; without a position it keeps its own, unless its parent is another."""
    fields = new.fields() | {"position": new.position}
    return answer(CategoryView, await actions.change_category(session, category_id, fields))


@routes.delete("/{category_id}", status_code=204)
async def delete_category(
    category_id: UUID,
    session: Transaction,
    force: Force = False,  # noqa: FBT002 - FastAPI passes by keyword
) -> None:
    """Delete a category; refused while something is below it or in it, unless forced.

    If forced, the categories below it take its place below its parent, and the models in it are no longer in it.
    """
    await actions.delete_category(session, category_id, force=force)


def _nested(tree: Sequence[CountedCategory]) -> bytes:
    """Write a `CategoryTree`; by hand, as a tree may be deeper than any encoder goes."""
    written = [b'{"items":[']
    above = -1
    for category, depth in depth_first(tree):
        if depth <= above:
            written.append(b"]}" * (above - depth + 1) + b",")
        fields = {name: getattr(category, name) for name in CategoryNode.model_fields if name != "children"}
        written.append(msgspec.json.encode(fields)[:-1] + b',"children":[')
        above = depth
    written.append(b"]}" * (above + 1) + b"]}")
    return b"".join(written)
