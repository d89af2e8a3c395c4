"""What the inputs and answers of capabilities, categories and tags have in common."""

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Depends, Path, Query
from pydantic import AfterValidator, StringConstraints

from modelbus.catalog.api.views import Cursor, Limit
from modelbus.catalog.store.paging import Paging

LONGEST_CONFIG = 10_000

Word = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]
"""A name for programs; people read the display name."""


def _can_be_kept(config: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON can say and the database can't keep, or not for long."""
    try:
        text = msgspec.json.encode(config).decode()
        is_kept = msgspec.json.decode(text) == config
    except (ValueError, OverflowError, RecursionError) as error:
        raise ValueError("must be nested less deeply, and hold text that is Unicode") from error
    if not is_kept:
        raise ValueError("must hold finite numbers alone")
    if len(text) > LONGEST_CONFIG or "\\u0000" in text:
        raise ValueError(f"must be at most {LONGEST_CONFIG} characters of JSON, without NUL")
    return config


Config = Annotated[dict[str, Any], AfterValidator(_can_be_kept)]
"""Settings as a JSON object."""


async def _read_model(
    model: Annotated[str, Path(max_length=300, description="Its id, or its public name.")],
) -> UUID | str:
    try:
        return UUID(model)
    except ValueError:
        return model


ModelKey = Annotated[UUID | str, Depends(_read_model)]
"""The model that a path names."""

Force = Annotated[bool, Query(description="Do it although it is in use; what has it loses it, in the same change.")]
Search = Annotated[
    str | None, Query(max_length=200, description="Part of the name, display name or description, in any case.")
]


class _Order(StrEnum):
    FIRST_MODEL_FIRST = "model_id"
    LAST_MODEL_FIRST = "-model_id"


_Sort = Annotated[_Order, Query(description="`-` puts the models that were added last first.")]


async def _read_page_of_pairs(
    limit: Limit = 50, cursor: Cursor = None, sort: _Sort = _Order.FIRST_MODEL_FIRST
) -> Paging:
    return Paging.read(limit, sort, cursor)


ByModel = Annotated[Paging, Depends(_read_page_of_pairs)]
"""The page of a list of models with one of their labels each, in order of models."""
