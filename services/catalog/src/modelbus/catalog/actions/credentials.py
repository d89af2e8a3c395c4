"""What can be done with credentials; secrets are sealed at the door of this module and never leave it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle_supplier
from modelbus.catalog.actions.suppliers import request_sync
from modelbus.catalog.actions.telling import credential_record
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.credentials import Credential, mask
from modelbus.catalog.domain.errors import AlreadyExistsError, DanglingReferenceError, NotFoundError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import credentials, suppliers
from modelbus.chassis import outbox
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault
from modelbus.contracts.catalog import CredentialChanged


async def create_credential(session: AsyncSession, vault: Vault, secret: str, fields: dict[str, Any]) -> Credential:
    """Add a key to a supplier's pool and ask for a listing at once.

    Raises:
        DanglingReferenceError: there is no such supplier.
        AlreadyExistsError: the supplier has a credential of that name.
    """
    supplier_id: UUID = fields["supplier_id"]
    try:
        supplier = await suppliers.lock_supplier(session, supplier_id)
    except NotFoundError as error:
        raise DanglingReferenceError("supplier_id", "supplier", supplier_id) from error
    await _refuse_taken_name(session, supplier_id, fields["name"])
    now = datetime.now(UTC)
    credential = Credential(
        **fields,
        id=new_id(),
        sealed=vault.seal(secret),
        hint=mask(secret),
        state="ok",
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    await credentials.insert_credential(session, credential)
    await keep(session, None, credential)
    await settle_supplier(session, supplier_id)
    if supplier.is_active and credential.is_active:
        await request_sync(session, supplier_id, "credential")
    return credential


async def change_credential(
    session: AsyncSession, vault: Vault, credential_id: UUID, secret: str | None, fields: dict[str, Any]
) -> Credential:
    """Change the given fields; a new secret makes a dead key live again."""
    credential = await _lock(session, credential_id)
    expect(session, credential)
    if fields.get("name", credential.name) != credential.name:
        await _refuse_taken_name(session, credential.supplier_id, fields["name"])
    changed = replace(credential, **fields)
    if secret is not None:
        changed = replace(changed, sealed=vault.seal(secret), hint=mask(secret), state="ok")
    if changed == credential:
        return credential
    changed = stamp(changed)
    await credentials.save_credentials(session, [changed])
    await keep(session, credential, changed)
    await settle_supplier(session, credential.supplier_id)
    return changed


async def delete_credential(session: AsyncSession, credential_id: UUID) -> None:
    """Take a key out of the pool; a supplier left without one serves nothing."""
    credential = await _lock(session, credential_id)
    expect(session, credential)
    await credentials.save_credentials(session, [stamp(replace(credential, deleted_at=datetime.now(UTC)))])
    await keep(session, credential, None)
    await settle_supplier(session, credential.supplier_id)


async def reseal_credentials(session: AsyncSession, vault: Vault) -> int:
    """Seal every secret anew under the first master key, so that the keys behind it can be retired; answer how many."""
    resealed = [
        replace(credential, sealed=vault.reseal(credential.sealed))
        for credential in await credentials.lock_credentials(session)
    ]
    await credentials.save_credentials(session, resealed)
    for credential in resealed:
        await outbox.record(session, CredentialChanged.to(credential_record(credential)))
    return len(resealed)


async def _lock(session: AsyncSession, credential_id: UUID) -> Credential:
    """Hold the supplier, which stands for its whole pool, and read the credential as it then is."""
    found = await credentials.get_credential(session, credential_id)
    await suppliers.lock_supplier(session, found.supplier_id)
    return await credentials.get_credential(session, credential_id)


async def _refuse_taken_name(session: AsyncSession, supplier_id: UUID, name: str) -> None:
    if await credentials.is_name_taken(session, supplier_id, name):
        raise AlreadyExistsError("credential of this supplier", "name", name)
