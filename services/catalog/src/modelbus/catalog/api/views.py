"""What every list and every input of this API has in common."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

from modelbus.catalog.domain.errors import InvalidQueryError
from modelbus.catalog.store.paging import BY_CREATION, Paging


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
Cursor = Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before.")]


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
    """One page of a list."""

    items: list[V]
    next_cursor: str | None
    """Ask again with `?cursor=` for what follows; null on the last page."""


class Answer:
    """Shows a thing, with the version of its configuration as ETag."""

    def __init__(self, response: Response) -> None:
        self._response = response

    def __call__[V: View](self, view: type[V], thing: Any) -> V:
        """Answer the thing as the view shows it."""
        self._response.headers["ETag"] = f'"{thing.version}"'
        return view.model_validate(thing)


async def _answer(response: Response) -> Answer:
    return Answer(response)


Shown = Annotated[Answer, Depends(_answer)]
"""How an endpoint answers with one thing."""


def sorted_by(*fields: str) -> Any:
    """Answer the dependency that reads which page is asked for, of a list that may be sorted by those fields."""
    known = [each for field in (BY_CREATION, *fields) for each in (field, f"-{field}")]
    description = f"One of {', '.join(f'`{each}`' for each in known)}; `-` puts the greatest first."
    sort_query = Query(max_length=100, description=description, json_schema_extra={"enum": known})

    async def read(limit: Limit = 50, cursor: Cursor = None, sort: Annotated[str, sort_query] = BY_CREATION) -> Paging:
        if sort not in known:
            raise InvalidQueryError("sort", f"must be one of {', '.join(known)}")
        return Paging.read(limit, sort, cursor)

    return Depends(read)


ByName = Annotated[Paging, sorted_by("name", "updated_at")]
"""The page of a list of things that have names."""


def page_of[V: View](view: type[V], found: Sequence[Any], paging: Paging) -> Page[V]:
    """Make a page of what a store listed: one more than the page holds means that there are more."""
    shown = found[: paging.limit]
    more = len(found) > paging.limit
    return Page[view](  # type: ignore[valid-type]
        items=[view.model_validate(each) for each in shown],
        next_cursor=paging.cursor_after(shown[-1]) if more else None,
    )
