"""Suppliers over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter

from modelbus.catalog.actions import suppliers as actions
from modelbus.catalog.api.flavours import AskedFlavours, FlavourWord
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.references import Breaking
from modelbus.catalog.api.views import Changes, Input, Name, Page, Shown, Text, View, page_of, sorted_by
from modelbus.catalog.domain.sources import Health
from modelbus.catalog.domain.suppliers import Flavour, Protocol, SupplierKind
from modelbus.catalog.store import suppliers as store
from modelbus.catalog.store.paging import Paging
from modelbus.catalog.store.suppliers import SupplierFilter
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/suppliers", tags=["suppliers"], route_class=OnceRoute, dependencies=GUARDS)

LONGEST_LABEL = 64
"""A label of a host name has up to 63 characters (RFC 1035)."""

_http_url = TypeAdapter(HttpUrl)


def _parsed(url: str) -> HttpUrl:
    parsed = _http_url.validate_python(url)
    if parsed.username or parsed.password:
        raise ValueError("must be an http(s) URL without user and password; keys go into credentials")
    if not parsed.host or not all(label and len(label) < LONGEST_LABEL for label in parsed.host.strip(".").split(".")):
        raise ValueError("must name a host")
    if parsed.host.startswith("."):
        raise ValueError("must name a host")
    return parsed


def _as_base_url(url: str) -> str:
    parsed = _parsed(url)
    if parsed.query or parsed.fragment:
        raise ValueError("must be a plain http(s) URL without query or fragment")
    # As the parser understood it, not as it was written: what was checked is what will be called.
    return str(parsed).rstrip("/")


def _as_web_url(url: str) -> str:
    parsed = _parsed(url)
    return str(parsed) if parsed.query or parsed.fragment else str(parsed).rstrip("/")


BaseUrl = Annotated[Name, AfterValidator(_as_base_url)]
WebUrl = Annotated[Name, AfterValidator(_as_web_url)]
Word = Annotated[Name, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class NewSupplier(Input):
    """A provider or aggregator account."""

    name: Word
    display_name: Name | None = None
    """The name, where left out."""
    description: Text | None = None
    kind: SupplierKind
    base_url: BaseUrl
    """Up to and including the version segment, for instance `https://api.openai.com/v1`."""
    protocol: Protocol = Protocol.OPENAI
    flavour: FlavourWord = Flavour.OPENAI.value
    """How its listing is read."""
    listing_url: WebUrl | None = None
    """Where its listing is, if not where its flavour looks for it; needed by `file`."""
    namespace: Word | None = None
    """Put before each listed name, so that offers of several suppliers meet under one public name."""
    website: WebUrl | None = None
    docs_url: WebUrl | None = None
    logo_url: WebUrl | None = None
    category: Name | None = None
    """A word by which you group suppliers."""
    is_active: bool = True
    requires_credential: bool = True
    is_local: bool = False
    """True lets it be reached at a loopback or private address."""
    removal_after: Annotated[int, Field(ge=1, le=100)] = 2
    """A model missing from that many listings in a row counts as removed."""
    sync_interval_s: Annotated[int, Field(ge=0, le=30 * 24 * 3600)] = 3600
    """Seconds between scheduled listings; 0 lists only on demand."""

    def fields(self) -> dict[str, Any]:
        """Answer what the supplier is made of."""
        return {**self.model_dump(), "display_name": self.display_name or self.name}


class SupplierChanges(Changes):
    """Fields to change; a field that may be emptied takes null."""

    name: Word = ""
    display_name: Name = ""
    description: Text | None = None
    kind: SupplierKind = SupplierKind.DIRECT
    base_url: BaseUrl = ""
    protocol: Protocol = Protocol.OPENAI
    flavour: FlavourWord = Flavour.OPENAI.value
    listing_url: WebUrl | None = None
    namespace: Word | None = None
    website: WebUrl | None = None
    docs_url: WebUrl | None = None
    logo_url: WebUrl | None = None
    category: Name | None = None
    """A word by which you group suppliers."""
    is_active: bool = True
    requires_credential: bool = True
    is_local: bool = False
    removal_after: Annotated[int, Field(ge=1, le=100)] = 2
    sync_interval_s: Annotated[int, Field(ge=0, le=30 * 24 * 3600)] = 3600


class SupplierView(View):
    """A supplier as administrators see it."""

    id: UUID
    name: str
    display_name: str
    description: str | None
    kind: str
    base_url: str
    protocol: str
    flavour: str
    listing_url: str | None
    namespace: str | None
    website: str | None
    docs_url: str | None
    logo_url: str | None
    category: str | None
    is_active: bool
    requires_credential: bool
    is_local: bool
    removal_after: int
    sync_interval_s: int
    credentials: int
    credentials_usable: int
    """Those that are enabled and not dead."""
    sources: int
    sources_available: int
    health: Health
    """Of its available sources together: `down` when all are, `healthy` when all are of which anything is known."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class RequestedSync(View):
    """A sync that was asked for."""

    run_id: UUID
    """Follow it at the sync service: `/api/v1/runs/{run_id}`."""


async def _read_filter(  # noqa: PLR0913 - one parameter for each filter
    *,
    name: Annotated[str | None, Query(max_length=200)] = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of a name or the description.")] = None,
    kind: SupplierKind | None = None,
    protocol: Protocol | None = None,
    flavour: Annotated[str | None, Query(max_length=50)] = None,
    category: Annotated[str | None, Query(max_length=200)] = None,
    is_active: bool | None = None,
    has_credential: Annotated[bool | None, Query(description="Whether it has one that is usable.")] = None,
    health: Annotated[Health | None, Query(description="Of its available sources together.")] = None,
) -> SupplierFilter:
    return SupplierFilter(name, search, kind, protocol, flavour, category, is_active, has_credential, health)


Wanted = Annotated[SupplierFilter, Depends(_read_filter)]
Sorted = Annotated[Paging, sorted_by("name", "updated_at", "display_name", "kind")]


@routes.get("")
async def list_suppliers(session: Reading, paging: Sorted, wanted: Wanted) -> Page[SupplierView]:
    """List suppliers, with counts of what they have."""
    return page_of(SupplierView, await store.list_suppliers(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_supplier(
    new: NewSupplier, session: Transaction, answer: Shown, flavours: AskedFlavours
) -> SupplierView:
    """Add a supplier; its models come with the first listing, once it has a credential.

    A supplier that was deleted under the same name comes back under its old id with these fields: the next listing
    brings its sources back, and what refers to them is served again.
    """
    await flavours.check(new.flavour)
    supplier = await actions.create_supplier(session, new.fields())
    return await show_supplier(supplier.id, session, answer)


@routes.get("/{supplier_id}")
async def show_supplier(supplier_id: UUID, session: Reading, answer: Shown) -> SupplierView:
    """Show a supplier, with counts of what it has."""
    return answer(SupplierView, await store.show_supplier(session, supplier_id))


@routes.patch("/{supplier_id}")
async def change_supplier(
    supplier_id: UUID,
    changes: SupplierChanges,
    session: Transaction,
    answer: Shown,
    breaking: Breaking,
    flavours: AskedFlavours,
) -> SupplierView:
    """Change some fields of a supplier."""
    await flavours.check(changes.given().get("flavour"))
    await actions.change_supplier(session, supplier_id, changes.given(), breaking)
    return await show_supplier(supplier_id, session, answer)


@routes.put("/{supplier_id}")
async def replace_supplier(
    supplier_id: UUID,
    new: NewSupplier,
    session: Transaction,
    answer: Shown,
    breaking: Breaking,
    flavours: AskedFlavours,
) -> SupplierView:
    """Set every field of a supplier."""
    await flavours.check(new.flavour)
    await actions.change_supplier(session, supplier_id, new.fields(), breaking)
    return await show_supplier(supplier_id, session, answer)


@routes.delete("/{supplier_id}", status_code=204)
async def delete_supplier(supplier_id: UUID, session: Transaction, breaking: Breaking) -> None:
    """Delete a supplier with its credentials; its sources become unavailable, what refers to them stays."""
    await actions.delete_supplier(session, supplier_id, breaking)


@routes.post("/{supplier_id}/enable")
async def enable_supplier(supplier_id: UUID, session: Transaction, answer: Shown) -> SupplierView:
    """Put a supplier into service."""
    await actions.change_supplier(session, supplier_id, {"is_active": True})
    return await show_supplier(supplier_id, session, answer)


@routes.post("/{supplier_id}/disable")
async def disable_supplier(supplier_id: UUID, session: Transaction, answer: Shown, breaking: Breaking) -> SupplierView:
    """Take a supplier out of service; models that no other supplier serves become unavailable."""
    await actions.change_supplier(session, supplier_id, {"is_active": False}, breaking)
    return await show_supplier(supplier_id, session, answer)


@routes.post("/{supplier_id}/sync", status_code=202)
async def sync_supplier(supplier_id: UUID, session: Transaction) -> RequestedSync:
    """Ask for a listing of the supplier now."""
    return RequestedSync(run_id=await actions.request_sync(session, supplier_id, "administrator"))
