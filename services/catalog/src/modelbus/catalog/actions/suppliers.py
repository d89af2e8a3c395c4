"""What can be done with suppliers."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.availability import settle_supplier
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.errors import AlreadyExistsError, SupplierNotSyncableError
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.store import suppliers
from modelbus.chassis import outbox
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import SyncRequested


async def create_supplier(session: AsyncSession, fields: dict[str, Any]) -> Supplier:
    """Add a supplier.

    Raises:
        AlreadyExistsError: the name is taken.
    """
    await _refuse_taken_name(session, fields["name"])
    now = datetime.now(UTC)
    supplier = Supplier(**fields, id=new_id(), created_at=now, updated_at=now, deleted_at=None)
    await suppliers.insert_supplier(session, supplier)
    await keep(session, None, supplier)
    return supplier


async def change_supplier(session: AsyncSession, supplier_id: UUID, fields: dict[str, Any]) -> Supplier:
    """Change the given fields, and settle what depends on them; a change that changes nothing tells nothing."""
    supplier = await suppliers.lock_supplier(session, supplier_id)
    expect(session, supplier)
    if fields.get("name", supplier.name) != supplier.name:
        await _refuse_taken_name(session, fields["name"])
    if replace(supplier, **fields) == supplier:
        return supplier
    changed = stamp(replace(supplier, **fields))
    await suppliers.save_supplier(session, changed)
    await keep(session, supplier, changed)
    await settle_supplier(session, supplier_id)
    return changed


async def delete_supplier(session: AsyncSession, supplier_id: UUID) -> None:
    """Take the supplier out of the catalog; its sources stay, unavailable, for what refers to them."""
    supplier = await suppliers.lock_supplier(session, supplier_id)
    expect(session, supplier)
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
    await outbox.record(session, SyncRequested(run_id=run_id, supplier_id=supplier_id, cause=cause))
    return run_id


async def _refuse_taken_name(session: AsyncSession, name: str) -> None:
    if await suppliers.find_supplier(session, name) is not None:
        raise AlreadyExistsError("supplier", "name", name)
