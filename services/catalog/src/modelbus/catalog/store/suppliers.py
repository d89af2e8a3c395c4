"""Queries about suppliers."""

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import suppliers

_alive = sa.select(suppliers).where(suppliers.c.deleted_at.is_(None))


async def get_supplier(session: AsyncSession, supplier_id: UUID) -> Supplier:
    """Read a supplier.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    return _found(await rows.fetch_one(session, Supplier, _alive.where(suppliers.c.id == supplier_id)), supplier_id)


async def lock_supplier(session: AsyncSession, supplier_id: UUID) -> Supplier:
    """Read a supplier and keep others from changing it, or its set of sources, until the transaction ends."""
    query = _alive.where(suppliers.c.id == supplier_id).with_for_update()
    return _found(await rows.fetch_one(session, Supplier, query), supplier_id)


async def find_supplier(session: AsyncSession, name: str) -> Supplier | None:
    """Look a supplier up by name."""
    return await rows.fetch_one(session, Supplier, _alive.where(suppliers.c.name == name))


async def list_suppliers(session: AsyncSession, *, name: str | None, paging: Paging) -> list[Supplier]:
    """List suppliers one more than the page holds."""
    query = _alive if name is None else _alive.where(suppliers.c.name == name)
    return await rows.fetch_all(session, Supplier, page(query, suppliers, paging))


async def every_supplier(session: AsyncSession) -> list[Supplier]:
    """Read every supplier for the snapshot."""
    return await rows.fetch_all(session, Supplier, _alive.order_by(suppliers.c.id))


async def insert_supplier(session: AsyncSession, supplier: Supplier) -> None:
    """Add the supplier."""
    await rows.insert_all(session, suppliers, [supplier])


async def save_supplier(session: AsyncSession, supplier: Supplier) -> None:
    """Write the supplier's fields."""
    await rows.update_all(session, suppliers, [supplier])


def _found(supplier: Supplier | None, supplier_id: UUID) -> Supplier:
    if supplier is None:
        raise NotFoundError("supplier", supplier_id)
    return supplier
