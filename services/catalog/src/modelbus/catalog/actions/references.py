"""A reference is checked when it is made: its target exists, and stays while the change is under way."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import DanglingReferenceError
from modelbus.catalog.store import references


async def hold_models(session: AsyncSession, named: Mapping[str, UUID]) -> None:
    """Hold every model that is named; `named` leads from the field's path in the input to the model's id.

    Raises:
        DanglingReferenceError: a field names a model that does not exist, or was deleted.
    """
    if not named:
        return
    held = await references.hold_models(session, set(named.values()))
    for field, model_id in named.items():
        if model_id not in held:
            raise DanglingReferenceError(field, "model", model_id)


def each_of(field: str, model_ids: Sequence[UUID]) -> dict[str, UUID]:
    """Answer the path of each id in a list."""
    return {f"{field}.{position}": model_id for position, model_id in enumerate(model_ids)}
