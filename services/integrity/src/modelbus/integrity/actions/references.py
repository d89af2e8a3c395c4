"""Answering who refers to a model or a source."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.integrity.domain.errors import TargetNotFoundError
from modelbus.integrity.domain.references import Place
from modelbus.integrity.store import known, view
from modelbus.integrity.store.references import Position


async def page_references(session: AsyncSession, target: str, limit: int, after: Position | None) -> list[Place]:
    """List the places that depend on a target, given by its id or by a model's name.

    Raises:
        TargetNotFoundError: nothing that was ever known, and nothing that is referred to, goes by that.
    """
    target_ids = await ids_of(session, target)
    places = await view.page_places_naming(session, target_ids, limit, after)
    if not places and not [each for each in target_ids if await known.is_target(session, each)]:
        raise TargetNotFoundError(f"no model or source goes by {target!r}")
    return places


async def ids_of(session: AsyncSession, target: str) -> list[UUID]:
    """Answer the id that a target is given by, or those of the models of that name."""
    try:
        return [UUID(target)]
    except ValueError:
        return await known.list_models_named(session, target)
