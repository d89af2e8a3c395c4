"""Categories form a tree: each has one parent or none, its place among its siblings, and is never below itself."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.label_errors import CategoryCycleError


@dataclass(frozen=True, slots=True)
class Category:
    """A place in the tree; siblings are numbered from 0 without a gap."""

    KIND: ClassVar[str] = "category"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset()

    id: UUID
    name: str
    display_name: str
    description: str | None
    parent_id: UUID | None
    """None at the root."""
    position: int
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1


type Tree = Mapping[UUID, Category]
"""Every living category by its id."""


def refuse_cycle(tree: Tree, category_id: UUID, parent_id: UUID | None) -> None:
    """Refuse to put a category below itself; the tree must be held still until the move is committed.

    Raises:
        CategoryCycleError: the wanted parent is the category, or is below it.
    """
    above = parent_id
    while above is not None:
        if above == category_id:
            raise CategoryCycleError(category_id, parent_id or above)
        above = tree[above].parent_id


def children_of(tree: Tree, parent_id: UUID | None) -> list[Category]:
    """Answer the children of a category, or the roots, in their order."""
    found = (each for each in tree.values() if each.parent_id == parent_id)
    return sorted(found, key=lambda each: (each.position, each.id))


def placed(tree: Tree, category: Category, parent_id: UUID | None, position: int | None) -> list[Category]:
    """Put a category, new or moved, at a place, the last where none is given; answer it and all whom that shifts.

    What the category itself says of its place is ignored.
    """
    siblings = [each for each in children_of(tree, parent_id) if each.id != category.id]
    at = len(siblings) if position is None else min(position, len(siblings))
    siblings.insert(at, replace(category, parent_id=parent_id))
    shifted = numbered(siblings)
    if category.id in tree and tree[category.id].parent_id != parent_id:
        left = [each for each in children_of(tree, tree[category.id].parent_id) if each.id != category.id]
        shifted += numbered(left)
    return [each for each in shifted if each.id == category.id or each != tree[each.id]]


def without(tree: Tree, category_id: UUID) -> list[Category]:
    """Take a category out; its children take its place, in their order. Answer all who are moved or shifted."""
    gone = tree[category_id]
    heirs = [replace(each, parent_id=gone.parent_id) for each in children_of(tree, category_id)]
    siblings = children_of(tree, gone.parent_id)
    at = siblings.index(gone)
    return [each for each in numbered([*siblings[:at], *heirs, *siblings[at + 1 :]]) if each != tree[each.id]]


def numbered(siblings: Sequence[Category]) -> list[Category]:
    """Answer siblings with the positions that their order gives them."""
    return [replace(each, position=place) for place, each in enumerate(siblings)]


def depth_first[C: Category](tree: Iterable[C]) -> list[tuple[C, int]]:
    """Answer every category after its parent and before its next sibling, each with its depth, 0 at the root."""
    below: dict[UUID | None, list[C]] = {}
    for each in sorted(tree, key=lambda each: (each.position, each.id), reverse=True):
        below.setdefault(each.parent_id, []).append(each)
    # A stack of our own: a tree may be deeper than Python lets functions call one another.
    waiting = [(each, 0) for each in below.get(None, ())]
    found: list[tuple[C, int]] = []
    while waiting:
        category, depth = waiting.pop()
        found.append((category, depth))
        waiting += [(each, depth + 1) for each in below.get(category.id, ())]
    return found
