"""The default model of a type serves requests that name none: exactly one holds it once one was chosen."""

from dataclasses import replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle_models
from modelbus.catalog.actions.versions import expect, note
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import models


async def set_default_model(session: AsyncSession, key: UUID | str) -> Model:
    """Make the model the default of its type, in place of whichever it was; both are told.

    Raises:
        NotFoundError: there is no such model.
        ChangedMeanwhileError: it is no longer as the caller saw it.
    """
    await claim_default(session)
    model, former = await _lock_both(session, key)
    expect(session, model)
    if model.is_default:
        return model
    if former is not None:
        # First, as PostgreSQL lets only one of a type be the default at any moment.
        await _hand(session, former, is_default=False)
    return await _hand(session, model, is_default=True)


async def claim_default(session: AsyncSession) -> None:
    """Let nobody else choose a default until the transaction ends; call it before models are locked."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("catalog.defaults"))))


async def take_default(session: AsyncSession, model_type: str) -> None:
    """Take it from the default model of the type, whichever that is, and tell it."""
    former = await models.find_default_model(session, model_type)
    if former is not None:
        held = await models.lock_models(session, {former.id})
        await _hand(session, held[former.id], is_default=False)


async def _lock_both(session: AsyncSession, key: UUID | str) -> tuple[Model, Model | None]:
    """Hold the model and the default of its type; a listing may have changed the type while we waited."""
    locked: set[UUID] = set()
    while True:
        model = await models.get_model(session, key)
        former = await models.find_default_model(session, model.model_type)
        touched = {model.id} if former is None else {model.id, former.id}
        if touched <= locked:
            return model, former
        await models.lock_models(session, touched)
        locked |= touched


async def _hand(session: AsyncSession, model: Model, *, is_default: bool) -> Model:
    changed = stamp(replace(model, is_default=is_default))
    note(session, model, changed)
    [judged] = await settle_models(session, {model.id: model}, [changed])
    return judged
