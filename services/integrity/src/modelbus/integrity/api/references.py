"""The reverse index, as administrators read it: who refers to a model or a source."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from modelbus.chassis.transactions import Reading
from modelbus.integrity.actions.references import page_references
from modelbus.integrity.domain.errors import MalformedCursorError
from modelbus.integrity.domain.references import HolderKind, Place
from modelbus.integrity.domain.targets import TargetKind
from modelbus.integrity.store.references import Position

routes = APIRouter(prefix="/api/v1/references", tags=["references"])


class ReferenceView(BaseModel):
    """A place in the configuration that depends on a model or source."""

    holder_kind: HolderKind
    holder_id: UUID
    holder_name: str | None
    holder_is_active: bool
    place: str
    """Where in the holder, for instance `step 2`, `level hard, position 1`, `default`."""
    target_kind: TargetKind
    target_id: UUID
    model_id: UUID
    model_name: str | None
    problem: str | None
    """Why the place can't serve now; null when it can."""

    @classmethod
    def of(cls, place: Place) -> "ReferenceView":
        """Show a place."""
        return cls(
            holder_kind=place.holder.kind,
            holder_id=place.holder.id,
            holder_name=place.holder.name,
            holder_is_active=place.holder.is_active,
            place=place.reference.place,
            target_kind=place.reference.target_kind,
            target_id=place.reference.target_id,
            model_id=place.reference.model_id,
            model_name=place.model.name,
            problem=place.problem,
        )


class ReferencePage(BaseModel):
    """A page of references, by holder and place."""

    items: list[ReferenceView]
    next_cursor: str | None


class ReferenceQuery(BaseModel):
    """Whose references to list."""

    model_config = ConfigDict(extra="forbid")

    # The pattern keeps NUL out, which PostgreSQL can't compare with.
    target: str = Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")
    limit: int = Field(default=50, ge=1, le=200)
    cursor: str | None = Field(default=None, max_length=80)


@routes.get("")
async def list_references(session: Reading, asked: Annotated[ReferenceQuery, Query()]) -> ReferencePage:
    """List every place that depends on `target`: the id of a model or source, or the name of a model."""
    places = await page_references(session, asked.target, asked.limit + 1, _position(asked.cursor))
    shown = places[: asked.limit]
    return ReferencePage(
        items=[ReferenceView.of(place) for place in shown],
        next_cursor=_cursor(shown[-1]) if len(places) > asked.limit else None,
    )


def _cursor(place: Place) -> str:
    return f"{place.holder.kind}.{place.holder.id}.{place.ordinal}"


def _position(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    try:
        kind, holder_id, ordinal = cursor.split(".")
        return HolderKind(kind).value, UUID(holder_id), int(ordinal)
    except ValueError as error:
        raise MalformedCursorError("cursor is none that this list answered") from error
