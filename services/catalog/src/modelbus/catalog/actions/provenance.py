"""What can be done about who told the fields of a model."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.models import alter_model
from modelbus.catalog.domain.candidates import released
from modelbus.catalog.domain.models import Model
from modelbus.catalog.store import models, sources


async def release_fields(session: AsyncSession, key: UUID | str, fields: Sequence[str]) -> Model:
    """Give fields that an administrator told back to listings and metadata files; the others stay as they are.

    Raises:
        NotFoundError: there is no such model.
        DefaultModelError: it is the default of its type, and would become one of another.
    """
    model = await models.get_model(session, key)
    offered = await sources.sources_of_models(session, [model.id])
    return await alter_model(session, key, lambda held: released(held, fields, offered))
