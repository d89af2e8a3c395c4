"""What can be done with models."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle
from modelbus.catalog.actions.names import claim_names
from modelbus.catalog.actions.telling import model_record
from modelbus.catalog.actions.versions import expect, keep, note
from modelbus.catalog.domain.availability import Reason
from modelbus.catalog.domain.models import ADMINISTRATOR, LISTED_FIELDS, Model
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import models
from modelbus.chassis.ids import new_id


async def create_model(session: AsyncSession, fields: dict[str, Any]) -> Model:
    """Add a model; it is unavailable until a source serves it.

    Raises:
        AlreadyExistsError: another model or a chain has the name, or one of the aliases.
    """
    await claim_names(session, [fields["name"], *fields["aliases"]])
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
    await keep(session, None, model)
    return model


async def change_model(session: AsyncSession, key: UUID | str, fields: dict[str, Any]) -> Model:
    """Change the given fields; they are the administrator's from now on, and no listing overwrites them."""
    if names := [name for name in (fields.get("name"), *fields.get("aliases", ())) if name is not None]:
        await claim_names(session, names, holder=(await models.get_model(session, key)).id)
    model = await lock_model(session, key)
    expect(session, model)
    told = dict.fromkeys(sorted(LISTED_FIELDS & fields.keys()), ADMINISTRATOR)
    changed = replace(model, **fields, provenance={**model.provenance, **told})
    if changed == model:
        return model
    changed = stamp(changed)
    await models.save_models(session, [changed])
    note(session, model, changed)
    is_told = model_record(changed) != model_record(model)
    await settle(session, [model.id], changed_models=[model.id] if is_told else [])
    return await models.get_model(session, model.id)


async def delete_model(session: AsyncSession, key: UUID | str) -> None:
    """Take the model out of the catalog; what refers to it stays and is flagged."""
    model = await lock_model(session, key)
    expect(session, model)
    await models.save_models(session, [stamp(replace(model, deleted_at=datetime.now(UTC)))])
    note(session, model, None)
    await settle(session, [model.id], changed_models=[model.id])


async def lock_model(session: AsyncSession, key: UUID | str) -> Model:
    """Hold a living model, and read it as it then is.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    model = await models.get_model(session, key)
    await models.lock_models(session, [model.id])
    return await models.get_model(session, model.id)
