"""What can be done with models."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.telling import model_record
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.models import ADMINISTRATOR, Model
from modelbus.catalog.store import models
from modelbus.chassis import outbox
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import ModelChanged

LISTED_FIELDS = frozenset({"display_name", "model_type", "context_window", "max_output_tokens"})
"""What a listing may tell of a model, unless an administrator told it."""


async def create_model(session: AsyncSession, fields: dict[str, Any]) -> Model:
    """Add a model; it is unavailable until a source serves it.

    Raises:
        AlreadyExistsError: another model has the name, or one of the aliases.
    """
    await _refuse_taken_names(session, [fields["name"], *fields["aliases"]], but=None)
    now = datetime.now(UTC)
    model = Model(
        **fields,
        id=new_id(),
        is_available=False,
        reason=Reason.NO_SOURCE if fields["is_active"] else Reason.DISABLED,
        since=now,
        provenance=dict.fromkeys(sorted(LISTED_FIELDS & fields.keys()), ADMINISTRATOR),
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    await models.insert_models(session, [model])
    await outbox.record(session, ModelChanged.to(model_record(model)))
    return model


async def change_model(session: AsyncSession, key: UUID | str, fields: dict[str, Any]) -> Model:
    """Change the given fields; they are the administrator's from now on, and no listing overwrites them."""
    model = await lock_model(session, key)
    named = [fields.get("name", model.name), *fields.get("aliases", model.aliases)]
    await _refuse_taken_names(session, named, but=model.id)
    told = dict.fromkeys(sorted(LISTED_FIELDS & fields.keys()), ADMINISTRATOR)
    changed = replace(model, **fields, provenance={**model.provenance, **told})
    if changed == model:
        return model
    await models.save_models(session, [replace(changed, updated_at=datetime.now(UTC))])
    is_told = model_record(changed) != model_record(model)
    await settle(session, [model.id], changed_models=[model.id] if is_told else [])
    return await models.get_model(session, model.id)


async def delete_model(session: AsyncSession, key: UUID | str) -> None:
    """Take the model out of the catalog; what refers to it stays and is flagged."""
    model = await lock_model(session, key)
    now = datetime.now(UTC)
    await models.save_models(session, [replace(model, deleted_at=now, updated_at=now)])
    await settle(session, [model.id], changed_models=[model.id])


async def lock_model(session: AsyncSession, key: UUID | str) -> Model:
    """Hold a living model, and read it as it then is.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    model = await models.get_model(session, key)
    await models.lock_models(session, [model.id])
    return await models.get_model(session, model.id)


async def _refuse_taken_names(session: AsyncSession, names: list[str], *, but: UUID | None) -> None:
    for name, holder in (await models.find_models(session, names)).items():
        if holder.id != but:
            raise AlreadyExistsError("model", "name or alias", name)
