"""What can be done with credentials; secrets are sealed at the door of this module and never leave it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.allowances import hold_allowed
from modelbus.catalog.actions.availability import settle_supplier
from modelbus.catalog.actions.holders import save_changed
from modelbus.catalog.actions.suppliers import request_sync
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.credentials import Credential, Seen, State, mask
from modelbus.catalog.domain.errors import AlreadyExistsError, DanglingReferenceError, NotFoundError
from modelbus.catalog.domain.references import NO_CONSENT, Consent, Departure, TargetKind
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import credentials, models, sources, suppliers
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault

COOLED_AT_ONCE = 100


async def create_credential(session: AsyncSession, vault: Vault, secret: str, fields: dict[str, Any]) -> Credential:
    """Add a key to a supplier's pool and ask for a listing at once.

    Raises:
        DanglingReferenceError: there is no such supplier, or none of its models.
        AlreadyExistsError: the supplier has a credential of that name.
    """
    supplier_id: UUID = fields["supplier_id"]
    try:
        supplier = await suppliers.lock_supplier(session, supplier_id)
    except NotFoundError as error:
        raise DanglingReferenceError("supplier_id", "supplier", supplier_id) from error
    await _refuse_taken_name(session, supplier_id, fields["name"])
    await _hold_models(session, supplier_id, fields.get("model_ids"))
    now = datetime.now(UTC)
    credential = Credential(
        **fields,
        id=new_id(),
        sealed=vault.seal(secret),
        hint=mask(secret),
        state=State.OK,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    await credentials.insert_credential(session, credential)
    await keep(session, None, credential)
    await settle_supplier(session, supplier_id)
    await _request_sync(session, supplier, credential)
    return credential


async def change_credential(
    session: AsyncSession,
    vault: Vault,
    credential_id: UUID,
    fields: dict[str, Any],
    secret: str | None = None,
    consent: Consent = NO_CONSENT,
) -> Credential:
    """Change the given fields; a new secret, or being enabled again, makes a dead key live and asks for a listing.

    Raises:
        StillReferencedError: it goes out of service, and something refers to what is served with it alone.
    """
    supplier, credential = await lock_with_supplier(session, credential_id)
    expect(session, credential)
    if fields.get("name", credential.name) != credential.name:
        await _refuse_taken_name(session, supplier.id, fields["name"])
    await _hold_models(session, supplier.id, fields.get("model_ids"))
    changed = replace(credential, **fields)
    if secret is not None:
        changed = changed.with_secret(vault.seal(secret), mask(secret))
    elif changed.is_active and not credential.is_active and changed.state != State.OK:
        changed = changed.trusted()
    if credential.is_usable and not changed.is_usable:
        await impact.refuse_breaking(session, Departure.disabling(TargetKind.CREDENTIAL, credential_id), consent)
    saved = await save_changed(session, credential, changed)
    await _settle(session, credential, saved)
    if secret is not None or (credential.state == State.DEAD and saved.state != State.DEAD):
        await _request_sync(session, supplier, saved)
    return saved


async def reset_credential(session: AsyncSession, credential_id: UUID) -> Credential:
    """Trust a credential again, whatever was seen of it; one that was dead is tried by a listing at once."""
    supplier, credential = await lock_with_supplier(session, credential_id)
    expect(session, credential)
    if credential.state == State.OK:
        return credential
    trusted = credential.trusted()
    await save_state(session, credential, trusted)
    if credential.state == State.DEAD:
        await _request_sync(session, supplier, trusted)
    return trusted


async def delete_credential(session: AsyncSession, credential_id: UUID, consent: Consent = NO_CONSENT) -> None:
    """Take a key out of the pool and forget its secret; a supplier left without one serves nothing.

    Raises:
        StillReferencedError: something refers to what is served with it alone.
    """
    _supplier, credential = await lock_with_supplier(session, credential_id)
    expect(session, credential)
    if credential.is_usable:
        await impact.refuse_breaking(session, Departure.deleting(TargetKind.CREDENTIAL, credential_id), consent)
    gone = credential.forgotten(datetime.now(UTC))
    await credentials.save_credential(session, stamp(gone))
    await keep(session, credential, None)
    await _settle(session, credential, gone)


async def set_state(session: AsyncSession, credential_id: UUID, seen: Seen) -> None:
    """Take in what somebody saw of a credential they called with; twice, late or in any order, it ends the same.

    Once the last usable one is dead, the sources of its supplier are unavailable.
    """
    try:
        _supplier, credential = await lock_with_supplier(session, credential_id)
    except NotFoundError:
        return  # Deleted meanwhile.
    changed = credential.seen(seen, datetime.now(UTC))
    if changed != credential:
        await save_state(session, credential, changed)


async def end_coolings(session: AsyncSession) -> bool:
    """Let credentials back whose time to cool is over, and tell so; answer whether there may be more."""
    now = datetime.now(UTC)
    due = await credentials.cooled_off(session, now, COOLED_AT_ONCE)
    for credential_id in sorted(due):
        try:
            credential = await credentials.lock_credential(session, credential_id)
        except NotFoundError:
            continue  # Deleted meanwhile.
        if credential.state_until is not None and credential.state_until <= now:
            await save_state(session, credential, credential.cooled_off())
    return len(due) == COOLED_AT_ONCE


async def save_state(session: AsyncSession, before: Credential, after: Credential) -> None:
    """Save what was seen: no configuration, so it is told and makes no version."""
    await credentials.save_credential(session, after)
    await keep(session, before, after)
    await _settle(session, before, after)


async def _settle(session: AsyncSession, before: Credential, after: Credential) -> None:
    if (before.is_usable, before.model_ids) != (after.is_usable, after.model_ids):
        await settle_supplier(session, before.supplier_id)


async def _request_sync(session: AsyncSession, supplier: Supplier, credential: Credential) -> None:
    if supplier.is_active and credential.is_usable:
        await request_sync(session, supplier.id, "credential")


async def _hold_models(session: AsyncSession, supplier_id: UUID, model_ids: Sequence[UUID] | None) -> None:
    """Hold the models that are named.

    Settling locks what the supplier offers: both at once, or two such changes could wait for each other.
    """
    if model_ids:
        offered = await sources.sources_of_supplier(session, supplier_id)
        await models.lock_models(session, {*model_ids, *(source.model_id for source in offered)})
        await hold_allowed(session, {"model_ids": model_ids})


async def lock_with_supplier(session: AsyncSession, credential_id: UUID) -> tuple[Supplier, Credential]:
    """Hold the supplier, which stands for its whole pool, and the credential; read them as they then are.

    Raises:
        NotFoundError: there is no such credential, or either of them was deleted.
    """
    found = await credentials.get_credential(session, credential_id)
    try:
        supplier = await suppliers.lock_supplier(session, found.supplier_id)
    except NotFoundError as error:
        raise NotFoundError("credential", credential_id) from error
    return supplier, await credentials.lock_credential(session, credential_id)


async def _refuse_taken_name(session: AsyncSession, supplier_id: UUID, name: str) -> None:
    if await credentials.is_name_taken(session, supplier_id, name):
        raise AlreadyExistsError("credential of this supplier", "name", name)
