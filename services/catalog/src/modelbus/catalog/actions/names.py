"""Names by which callers ask: one space for models, their aliases, chains and splits."""

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.store import chains, models, splits


async def claim_names(session: AsyncSession, names: Sequence[str], *, holder: UUID | None = None) -> None:
    """Refuse names that another model, chain or split has; nobody else chooses one until the transaction ends.

    A listing may still bring a model of a chain's or split's name at any time; the model goes first then.

    Raises:
        AlreadyExistsError: somebody but the holder has one of them.
    """
    await lock_names(session)
    for name, model in (await models.find_models(session, names)).items():
        if model.id != holder:
            raise AlreadyExistsError("model", "name or alias", name)
    for name in names:
        if await chains.is_name_taken(session, name, but=holder):
            raise AlreadyExistsError("chain", "name", name)
        if await splits.is_name_taken(session, name, but=holder):
            raise AlreadyExistsError("split", "name", name)


async def lock_names(session: AsyncSession) -> None:
    """Let nobody else choose a name until the transaction ends."""
    await session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("catalog.names"))))
