"""Queries about what observers say of credentials that a supplier did not accept."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.refusals import Refusal
from modelbus.catalog.store import rows
from modelbus.catalog.store.tables import credential_refusals


async def list_refusals(session: AsyncSession, credential_id: UUID) -> list[Refusal]:
    """Read what is said of a credential."""
    query = sa.select(credential_refusals).where(credential_refusals.c.credential_id == credential_id)
    return await rows.fetch_all(session, Refusal, query)


async def save_refusal(session: AsyncSession, refusal: Refusal) -> None:
    """Write what an observer says in the place of what it said before."""
    values = {name: getattr(refusal, name) for name in credential_refusals.c.keys()}  # noqa: SIM118 - a collection, no dict
    said = insert(credential_refusals).values(values)
    changed = {name: said.excluded[name] for name in values if name not in {"credential_id", "observer"}}
    await session.execute(said.on_conflict_do_update(index_elements=["credential_id", "observer"], set_=changed))


async def disprove(session: AsyncSession, accepted_at: Mapping[UUID, datetime]) -> set[UUID]:
    """Note which credentials were accepted since somebody said that they are not; answer which these are."""
    of_these = rows.among(credential_refusals.c.credential_id, accepted_at)
    said = sa.select(credential_refusals).where(of_these, credential_refusals.c.disproved_at.is_(None))
    found = await rows.fetch_all(session, Refusal, said)
    wrong = {each.credential_id for each in found if each.last_at < accepted_at[each.credential_id]}
    for credential_id in sorted(wrong):
        is_wrong = credential_refusals.c.last_at < accepted_at[credential_id]
        await session.execute(
            sa.update(credential_refusals)
            .where(credential_refusals.c.credential_id == credential_id, is_wrong)
            .values(disproved_at=accepted_at[credential_id])
        )
    return wrong


async def forget_refusals(session: AsyncSession, before: datetime) -> None:
    """Delete what was said last before then."""
    await session.execute(sa.delete(credential_refusals).where(credential_refusals.c.last_at < before))
