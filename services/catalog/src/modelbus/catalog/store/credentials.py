"""Queries about credentials."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.credentials import Credential
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import credentials

_alive = sa.select(credentials).where(credentials.c.deleted_at.is_(None))


async def get_credential(session: AsyncSession, credential_id: UUID) -> Credential:
    """Read a credential.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    credential = await rows.fetch_one(session, Credential, _alive.where(credentials.c.id == credential_id))
    if credential is None:
        raise NotFoundError("credential", credential_id)
    return credential


async def is_name_taken(session: AsyncSession, supplier_id: UUID, name: str) -> bool:
    """Tell whether the supplier has a credential of that name."""
    query = _alive.where(credentials.c.supplier_id == supplier_id, credentials.c.name == name)
    return await rows.fetch_one(session, Credential, query) is not None


async def list_credentials(session: AsyncSession, *, supplier_id: UUID | None, paging: Paging) -> list[Credential]:
    """List credentials one more than the page holds."""
    query = _alive if supplier_id is None else _alive.where(credentials.c.supplier_id == supplier_id)
    return await rows.fetch_all(session, Credential, page(query, credentials, paging))


async def every_credential(session: AsyncSession) -> list[Credential]:
    """Read every credential for the snapshot."""
    return await rows.fetch_all(session, Credential, _alive.order_by(credentials.c.id))


async def lock_credentials(session: AsyncSession) -> list[Credential]:
    """Read every credential, and keep others from changing them until the transaction ends."""
    return await rows.fetch_all(session, Credential, _alive.order_by(credentials.c.id).with_for_update())


async def insert_credential(session: AsyncSession, credential: Credential) -> None:
    """Add the credential."""
    await rows.insert_all(session, credentials, [credential])


async def save_credentials(session: AsyncSession, changed: list[Credential]) -> None:
    """Write the credentials' fields."""
    await rows.update_all(session, credentials, changed)
