"""Queries about credentials."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.credentials import Credential
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.references import Notice, notices_of_models
from modelbus.catalog.store import references, rows
from modelbus.catalog.store.allowances import Allowance, select_holders
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import credential_models, credentials

_MODELS = Allowance(credentials.c.is_restricted, credential_models.c.credential_id, credential_models.c.model_id)
_alive = select_holders(_MODELS)


@dataclass(frozen=True, slots=True)
class CredentialRow(Credential):
    """A credential, and what of it is stale right now."""

    warnings: list[Notice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CredentialFilter:
    """What a list of credentials is narrowed to; None leaves it open."""

    supplier_id: UUID | None = None
    name: str | None = None
    search: str | None = None
    """Part of the name, in any case."""
    is_active: bool | None = None
    state: str | None = None
    model_id: UUID | None = None
    """A model that it may be used for."""


async def get_credential(session: AsyncSession, credential_id: UUID) -> Credential:
    """Read a credential.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    credential = await rows.fetch_one(session, Credential, _alive.where(credentials.c.id == credential_id))
    if credential is None:
        raise NotFoundError("credential", credential_id)
    return credential


async def lock_credential(session: AsyncSession, credential_id: UUID) -> Credential:
    """Read a credential and keep others from changing or resealing it until the transaction ends."""
    await references.lock_holder(session, credentials, credential_id)
    return await get_credential(session, credential_id)


async def show_credential(session: AsyncSession, credential_id: UUID) -> CredentialRow:
    """Read a credential as it stands right now.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    found = await rows.fetch_one(session, CredentialRow, _alive.where(credentials.c.id == credential_id))
    if found is None:
        raise NotFoundError("credential", credential_id)
    return (await _judged(session, [found]))[0]


async def is_name_taken(session: AsyncSession, supplier_id: UUID, name: str) -> bool:
    """Tell whether the supplier has a credential of that name."""
    query = _alive.where(credentials.c.supplier_id == supplier_id, credentials.c.name == name)
    return await rows.fetch_one(session, Credential, query) is not None


async def list_credentials(session: AsyncSession, wanted: CredentialFilter, *, paging: Paging) -> list[CredentialRow]:
    """List credentials as they stand right now, one more than the page holds."""
    query = _alive
    for name in ("supplier_id", "name", "is_active", "state"):
        value = getattr(wanted, name)
        if value is not None:
            query = query.where(credentials.c[name] == value)
    if wanted.search is not None:
        query = query.where(credentials.c.name.icontains(wanted.search, autoescape=True))
    if wanted.model_id is not None:
        query = query.where(_MODELS.lets(wanted.model_id))
    return await _judged(session, await rows.fetch_all(session, CredentialRow, page(query, credentials, paging)))


async def every_credential(session: AsyncSession) -> list[Credential]:
    """Read every credential for the snapshot."""
    return await rows.fetch_all(session, Credential, _alive.order_by(credentials.c.id))


async def credentials_of_supplier(session: AsyncSession, supplier_id: UUID) -> list[Credential]:
    """Read the credentials of one supplier, whose lock the caller holds."""
    query = _alive.where(credentials.c.supplier_id == supplier_id).order_by(credentials.c.id)
    return await rows.fetch_all(session, Credential, query)


async def credentials_among(session: AsyncSession, ids: Collection[UUID]) -> list[Credential]:
    """Read the living ones of these credentials."""
    return await rows.fetch_all(session, Credential, _alive.where(rows.among(credentials.c.id, ids)))


async def cooled_off(session: AsyncSession, now: datetime, limit: int) -> list[UUID]:
    """Answer credentials whose time to cool is over."""
    due = sa.select(credentials.c.id).where(credentials.c.deleted_at.is_(None), credentials.c.state_until <= now)
    return list(await session.scalars(due.order_by(credentials.c.state_until).limit(limit)))


async def insert_credential(session: AsyncSession, credential: Credential) -> None:
    """Add the credential with its models."""
    await references.insert_holder(session, credentials, credential)
    await save_models(session, credential)


async def save_credential(session: AsyncSession, credential: Credential) -> None:
    """Write the credential's fields, its models left as they are."""
    await references.save_holder(session, credentials, credential)


async def save_models(session: AsyncSession, credential: Credential) -> None:
    """Write the credential's models in place of those that it had."""
    await _MODELS.save(session, credential.id, credential.model_ids)


async def _judged(session: AsyncSession, found: list[CredentialRow]) -> list[CredentialRow]:
    stale = await references.stale_among(session, {each for one in found for each in one.model_ids or []})
    return [replace(one, warnings=notices_of_models(one.model_ids or [], stale)) for one in found]
