"""What can be done with categories; whoever changes the tree holds all of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.label_use import findings_of
from modelbus.catalog.actions.model_labels import change_all, without_category
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.categories import Category, Tree, children_of, placed, refuse_cycle, without
from modelbus.catalog.domain.errors import AlreadyExistsError, DanglingReferenceError, NotFoundError
from modelbus.catalog.domain.label_errors import LabelInUseError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import categories, labelled
from modelbus.chassis.ids import new_id

_REMEDY = "repeat it with ?force=true to move what is below it to its parent, and to take the models out of it"


async def create_category(session: AsyncSession, fields: dict[str, Any], position: int | None) -> Category:
    """Add a category among its siblings, the last where no position is given.

    Raises:
        AlreadyExistsError: the name is taken.
        DanglingReferenceError: there is no such parent.
    """
    tree = await categories.lock_tree(session)
    await _refuse_taken_name(session, fields["name"])
    _refuse_missing_parent(tree, fields["parent_id"])
    now = datetime.now(UTC)
    new = Category(**fields, id=new_id(), position=0, created_at=now, updated_at=now, deleted_at=None)
    arranged = {each.id: each for each in placed(tree, new, new.parent_id, position)}
    made = arranged.pop(new.id)
    await categories.insert_category(session, made)
    await keep(session, None, made)
    await _save_changed(session, tree, list(arranged.values()))
    return made


async def change_category(session: AsyncSession, category_id: UUID, fields: dict[str, Any]) -> Category:
    """Change the given fields; another parent or position moves the category with all that is below it.

    Raises:
        AlreadyExistsError: the name is taken.
        CategoryCycleError: the wanted parent is the category itself, or below it.
        DanglingReferenceError: there is no such parent.
    """
    tree = await categories.lock_tree(session)
    category = _found(tree, category_id)
    expect(session, category)
    if fields.get("name", category.name) != category.name:
        await _refuse_taken_name(session, fields["name"])
    position, parent_id = fields.get("position"), fields.get("parent_id", category.parent_id)
    changed = replace(category, **{name: value for name, value in fields.items() if name != "position"})
    arranged = [changed]
    if position is not None or parent_id != category.parent_id:
        _refuse_missing_parent(tree, parent_id)
        refuse_cycle(tree, category_id, parent_id)
        arranged = placed(tree, changed, parent_id, position)
    await _save_changed(session, tree, arranged)
    return await categories.get_category(session, category_id)


async def delete_category(session: AsyncSession, category_id: UUID, *, force: bool) -> None:
    """Take the category out of the tree; what is below it moves to its parent, and its models lose it.

    Raises:
        LabelInUseError: something is below it or in it, and nobody has said that this is meant.
    """
    tree = await categories.lock_tree(session)
    category = _found(tree, category_id)
    expect(session, category)
    await categories.lock_category(session, category_id)
    if not force:
        await _refuse_use(session, tree, category_id)
    await categories.save_categories(session, [stamp(replace(category, deleted_at=datetime.now(UTC)))])
    await keep(session, category, None)
    await _save_changed(session, tree, without(tree, category_id))
    held = await labelled.ids_of_bearers(session, categories.is_in(category_id))
    await change_all(session, held, lambda model: without_category(model, category_id))


async def _save_changed(session: AsyncSession, tree: Tree, arranged: list[Category]) -> None:
    changed = [stamp(each) for each in arranged if each != tree[each.id]]
    await categories.save_categories(session, changed)
    for each in changed:
        await keep(session, tree[each.id], each)


async def _refuse_use(session: AsyncSession, tree: Tree, category_id: UUID) -> None:
    below = children_of(tree, category_id)
    findings, total = await findings_of(session, categories.is_in(category_id))
    findings = [
        {"kind": Category.KIND, "id": str(each.id), "name": each.name, "message": f"category {each.name!r} below it"}
        for each in below
    ] + findings
    if findings:
        raise LabelInUseError("category", findings, total + len(below), _REMEDY)


def _found(tree: Tree, category_id: UUID) -> Category:
    if category_id not in tree:
        raise NotFoundError("category", category_id)
    return tree[category_id]


def _refuse_missing_parent(tree: Tree, parent_id: UUID | None) -> None:
    if parent_id is not None and parent_id not in tree:
        raise DanglingReferenceError("parent_id", "category", parent_id)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await categories.is_name_taken(session, name):
        raise AlreadyExistsError("category", "name", name)
