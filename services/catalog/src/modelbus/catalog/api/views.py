"""What every list and every input of this API has in common."""

from collections.abc import Sequence
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints


def _without_control_characters(text: str) -> str:
    if any(character < " " and character not in "\n\t\r" for character in text):
        raise ValueError("must not hold NUL or other control characters")
    return text


def _on_one_line(text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise ValueError("must not hold line breaks, tabs or other control characters")
    return text


Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_on_one_line),
]
Text = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(_without_control_characters)]
Limit = Annotated[int, Query(ge=1, le=200, description="Items per page.")]
Cursor = Annotated[UUID | None, Query(description="`next_cursor` of the page before.")]


class Input(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Changes(Input):
    """The body of a PATCH: fields that are left out stay as they are."""

    def given(self) -> dict[str, Any]:
        """Answer the fields that the caller sent."""
        return self.model_dump(exclude_unset=True)


class View(BaseModel):
    """What is shown of a thing, read from its fields."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)


class Page[V](BaseModel):
    """One page of a list, in order of creation."""

    items: list[V]
    next_cursor: UUID | None
    """Ask again with `?cursor=` for what follows; null on the last page."""


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


def page_of[V: View](view: type[V], found: Sequence[_Identified], limit: int) -> Page[V]:
    """Make a page of what a store listed: one more than the page holds means that there are more."""
    shown = found[:limit]
    return Page[view](  # type: ignore[valid-type]
        items=[view.model_validate(each) for each in shown],
        next_cursor=shown[-1].id if len(found) > limit else None,
    )
