"""What can be done with suppliers."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions import impact
from modelbus.catalog.actions.availability import settle_supplier
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.errors import AddressRefusedError, AlreadyExistsError, SupplierNotSyncableError
from modelbus.catalog.domain.references import NO_CONSENT, Consent, Departure, TargetKind
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import credentials, sources, suppliers
from modelbus.chassis import outbox
from modelbus.chassis.addresses import why_refused
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import SyncRequested

_LOOPBACK = "127.0.0.1"


async def create_supplier(session: AsyncSession, fields: dict[str, Any]) -> Supplier:
    """Add a supplier; one that was deleted under the same name comes back, and what refers to its sources with it.

    Raises:
        AlreadyExistsError: the name is taken.
        AddressRefusedError: it would be called where none may be.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    deleted = await suppliers.lock_deleted_supplier(session, fields["name"])
    if deleted is not None:
        return await _bring_back(session, replace(deleted, **fields, deleted_at=None))
    supplier = Supplier(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    _refuse_address(supplier)
    await suppliers.insert_supplier(session, supplier)
    await keep(session, None, supplier)
    return supplier


async def change_supplier(
    session: AsyncSession, supplier_id: UUID, fields: dict[str, Any], consent: Consent = NO_CONSENT
) -> Supplier:
    """Change the given fields, and settle what depends on them; a change that changes nothing tells nothing.

    Raises:
        AddressRefusedError: it would be called where none may be.
        StillReferencedError: it goes out of service, and something refers to what it alone serves.
    """
    supplier = await suppliers.lock_supplier(session, supplier_id)
    expect(session, supplier)
    if fields.get("name", supplier.name) != supplier.name:
        await _refuse_taken_name(session, fields["name"])
    changed = replace(supplier, **fields)
    if changed == supplier:
        return supplier
    if _addresses(changed) != _addresses(supplier):
        _refuse_address(changed)
    if await _ceases(session, supplier, changed):
        await impact.refuse_breaking(session, Departure.disabling(TargetKind.SUPPLIER, supplier_id), consent)
    changed = stamp(changed)
    await suppliers.save_supplier(session, changed)
    await keep(session, supplier, changed)
    if _standing(changed) != _standing(supplier):
        await settle_supplier(session, supplier_id)
    return changed


async def delete_supplier(session: AsyncSession, supplier_id: UUID, consent: Consent = NO_CONSENT) -> None:
    """Take the supplier and its credentials out of the catalog.

    Its sources stay, unavailable, for what refers to them; its secrets are forgotten.

    Raises:
        StillReferencedError: something refers to what it alone serves.
    """
    supplier = await suppliers.lock_supplier(session, supplier_id)
    expect(session, supplier)
    await impact.refuse_breaking(session, Departure.deleting(TargetKind.SUPPLIER, supplier_id), consent)
    for credential in await credentials.credentials_of_supplier(session, supplier_id):
        await credentials.save_credential(session, stamp(credential.forgotten(datetime.now(UTC))))
        await keep(session, credential, None)
    await suppliers.save_supplier(session, stamp(replace(supplier, deleted_at=datetime.now(UTC))))
    await keep(session, supplier, None)
    await settle_supplier(session, supplier_id)


async def request_sync(session: AsyncSession, supplier_id: UUID, cause: str) -> UUID:
    """Ask for a listing of the supplier; answer the id that the run will have.

    Raises:
        SupplierNotSyncableError: it is disabled.
    """
    supplier = await suppliers.get_supplier(session, supplier_id)
    expect(session, supplier)
    if not supplier.is_active:
        raise SupplierNotSyncableError(f"supplier {supplier.name!r} is disabled; enable it first")
    run_id = new_id()
    by = session.info["caller"].name
    await outbox.record(session, SyncRequested(run_id=run_id, supplier_id=supplier_id, cause=cause, requested_by=by))
    return run_id


async def _bring_back(session: AsyncSession, supplier: Supplier) -> Supplier:
    """Let a deleted supplier live again; what a listing brought waits for the next one to confirm it."""
    _refuse_address(supplier)
    supplier = stamp(supplier)
    await suppliers.save_supplier(session, supplier)
    await keep(session, None, supplier)
    await sources.unlist_sources(session, supplier.id)
    await settle_supplier(session, supplier.id)
    return supplier


async def _ceases(session: AsyncSession, before: Supplier, after: Supplier) -> bool:
    """Tell whether it served, and does no longer: it goes out of service, or wants a credential and has none."""
    if not after.is_active:
        return before.is_active
    if before.requires_credential or not after.requires_credential:
        return False
    pool = await credentials.credentials_of_supplier(session, after.id)
    return not any(credential.is_usable for credential in pool)


def _standing(supplier: Supplier) -> tuple[bool, bool]:
    """Answer what the availability of its sources depends on."""
    return supplier.is_active, supplier.requires_credential


def _addresses(supplier: Supplier) -> tuple[str, str | None, bool]:
    return supplier.base_url, supplier.listing_url, supplier.is_local


def _refuse_address(supplier: Supplier) -> None:
    """Refuse an address that is written out; where a name leads is looked up before each call."""
    for field in ("base_url", "listing_url"):
        url: str | None = getattr(supplier, field)
        reason = None if url is None else _why_not(url, is_local=supplier.is_local)
        if reason is not None:
            raise AddressRefusedError(field, reason)


def _why_not(url: str, *, is_local: bool) -> str | None:
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = _LOOPBACK if host == "localhost" or host.endswith(".localhost") else str(ip_address(host))
    except ValueError:
        return None
    return why_refused(address, is_local=is_local)


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await suppliers.find_supplier(session, name) is not None:
        raise AlreadyExistsError("supplier", "name", name)
