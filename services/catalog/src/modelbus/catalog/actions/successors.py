"""Successors: a model may name another that its users should move to, and no such way leads back to where it began."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.model_errors import WrongSuccessorError
from modelbus.catalog.domain.models import Model
from modelbus.catalog.store import models


async def claim_successor(session: AsyncSession) -> None:
    """Let nobody else name a successor until the transaction ends; call it before models are locked.

    Two models that name each other at the same time would both see no ring: each reads the other as it was before.
    """
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("catalog.successors"))))


async def refuse_ring(
    session: AsyncSession, successor: UUID, named_by: Sequence[Model], *, field: str = "replacement_model_id"
) -> None:
    """Check that the successor does not lead back, at once or by way of others, to who is to name it.

    Raises:
        WrongSuccessorError: it does.
    """
    led_to = await models.successors_of(session, successor)
    for model in named_by:
        if model.id in led_to:
            raise WrongSuccessorError(field, model.name)
