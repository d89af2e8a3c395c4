"""Queries about suppliers."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.credentials import State
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.sources import Health
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.store import rows
from modelbus.catalog.store.paging import Paging, page
from modelbus.catalog.store.tables import credentials, sources, suppliers

_alive = sa.select(suppliers).where(suppliers.c.deleted_at.is_(None))
_is_usable = credentials.c.deleted_at.is_(None) & credentials.c.is_active & (credentials.c.state != State.DEAD)


@dataclass(frozen=True, slots=True)
class SupplierRow(Supplier):
    """A supplier, with counts of what it has."""

    credentials: int = 0
    credentials_usable: int = 0
    sources: int = 0
    sources_available: int = 0
    health: str = Health.UNKNOWN
    """What is known of its available sources together."""


@dataclass(frozen=True, slots=True)
class SupplierFilter:
    """What a list of suppliers is narrowed to; None leaves it open."""

    name: str | None = None
    search: str | None = None
    """Part of a name or of the description, in any case."""
    kind: str | None = None
    protocol: str | None = None
    flavour: str | None = None
    category: str | None = None
    is_active: bool | None = None
    has_credential: bool | None = None
    """Whether it has one that is usable."""
    health: str | None = None


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


async def lock_deleted_supplier(session: AsyncSession, name: str) -> Supplier | None:
    """Read the supplier that was last deleted under the name, and keep others from bringing it back."""
    query = sa.select(suppliers).where(suppliers.c.name == name, suppliers.c.deleted_at.is_not(None))
    return await rows.fetch_one(
        session, Supplier, query.order_by(suppliers.c.deleted_at.desc()).limit(1).with_for_update()
    )


async def find_supplier(session: AsyncSession, name: str) -> Supplier | None:
    """Look a supplier up by name."""
    return await rows.fetch_one(session, Supplier, _alive.where(suppliers.c.name == name))


async def show_supplier(session: AsyncSession, supplier_id: UUID) -> SupplierRow:
    """Read a supplier with its counts.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    return (await _counted(session, [await get_supplier(session, supplier_id)]))[0]


async def list_suppliers(session: AsyncSession, wanted: SupplierFilter, *, paging: Paging) -> list[SupplierRow]:
    """List suppliers with their counts, one more than the page holds; three statements, however many."""
    query = page(_alive.where(*_criteria(wanted)), suppliers, paging)
    return await _counted(session, await rows.fetch_all(session, Supplier, query))


async def every_supplier(session: AsyncSession) -> list[Supplier]:
    """Read every supplier for the snapshot."""
    return await rows.fetch_all(session, Supplier, _alive.order_by(suppliers.c.id))


async def insert_supplier(session: AsyncSession, supplier: Supplier) -> None:
    """Add the supplier."""
    await rows.insert_all(session, suppliers, [supplier])


async def save_supplier(session: AsyncSession, supplier: Supplier) -> None:
    """Write the supplier's fields."""
    await rows.update_all(session, suppliers, [supplier])


def _criteria(wanted: SupplierFilter) -> list[sa.ColumnElement[bool]]:
    criteria: list[sa.ColumnElement[bool]] = []
    for name in ("name", "kind", "protocol", "flavour", "category", "is_active"):
        value = getattr(wanted, name)
        if value is not None:
            criteria.append(suppliers.c[name] == value)
    if wanted.search is not None:
        searched = (suppliers.c.name, suppliers.c.display_name, suppliers.c.description)
        criteria.append(sa.or_(*(column.icontains(wanted.search, autoescape=True) for column in searched)))
    if wanted.has_credential is not None:
        has_one = sa.exists().where(credentials.c.supplier_id == suppliers.c.id, _is_usable)
        criteria.append(has_one if wanted.has_credential else ~has_one)
    if wanted.health is not None:
        of_supplier = sa.select(_health()).where(_is_available(), sources.c.supplier_id == suppliers.c.id)
        criteria.append(of_supplier.correlate(suppliers).scalar_subquery() == wanted.health)
    return criteria


def _is_available() -> sa.ColumnElement[bool]:
    return sources.c.deleted_at.is_(None) & sources.c.is_available


def _health() -> sa.ColumnElement[str]:
    """Sum up the sources of a group: down when all are, healthy when all of which something is known are."""
    count = sa.func.count()
    of = {health: count.filter(_is_available(), sources.c.health == health) for health in Health}
    known = count.filter(_is_available(), sources.c.health != Health.UNKNOWN)
    return sa.case(
        (known == 0, Health.UNKNOWN),
        (of[Health.HEALTHY] == known, Health.HEALTHY),
        (of[Health.DOWN] == count.filter(_is_available()), Health.DOWN),
        else_=Health.DEGRADED,
    )


async def _counted(session: AsyncSession, found: Sequence[Supplier]) -> list[SupplierRow]:
    """Count what the suppliers have; two statements, however many they are."""
    ids = [supplier.id for supplier in found]
    count = sa.func.count()
    keys = (
        sa.select(
            credentials.c.supplier_id,
            count.filter(credentials.c.deleted_at.is_(None)).label("credentials"),
            count.filter(_is_usable).label("credentials_usable"),
        )
        .where(rows.among(credentials.c.supplier_id, ids))
        .group_by(credentials.c.supplier_id)
    )
    offers = (
        sa.select(
            sources.c.supplier_id,
            count.label("sources"),
            count.filter(_is_available()).label("sources_available"),
            _health().label("health"),
        )
        .where(rows.among(sources.c.supplier_id, ids), sources.c.deleted_at.is_(None))
        .group_by(sources.c.supplier_id)
    )
    counts: dict[UUID, dict[str, Any]] = {key: {} for key in ids}
    for query in (keys, offers):
        for row in await session.execute(query):
            told = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
            counts[told.pop("supplier_id")] |= told
    names = [field.name for field in fields(Supplier)]
    return [
        SupplierRow(**{name: getattr(supplier, name) for name in names}, **counts[supplier.id]) for supplier in found
    ]


def _found(supplier: Supplier | None, supplier_id: UUID) -> Supplier:
    if supplier is None:
        raise NotFoundError("supplier", supplier_id)
    return supplier
