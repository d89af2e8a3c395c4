"""A reference is checked when it is made: its target exists, and stays while the change is under way."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import DanglingReferenceError, WrongSourceError
from modelbus.catalog.store import references


class Target(Protocol):
    """A model, or one exact source of it."""

    @property
    def model_id(self) -> UUID: ...  # noqa: D102 - a field
    @property
    def source_id(self) -> UUID | None: ...  # noqa: D102 - a field


async def hold_targets(session: AsyncSession, named: Mapping[str, Target]) -> None:
    """Hold the model of every target; `named` leads from the path of its fields in the input, with a last dot, to it.

    Raises:
        DanglingReferenceError: one names a model or a source that does not exist.
        WrongSourceError: one names a source of another model.
    """
    await hold_models(session, {f"{path}model_id": target.model_id for path, target in named.items()})
    # Who holds a model holds its sources with it, so they are read only now.
    wanted = {path: target.source_id for path, target in named.items() if target.source_id is not None}
    served = await references.served_by(session, list(wanted.values()))
    for path, source_id in wanted.items():
        if source_id not in served:
            raise DanglingReferenceError(f"{path}source_id", "source", source_id)
        if served[source_id] != named[path].model_id:
            raise WrongSourceError(f"{path}source_id", source_id)


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
