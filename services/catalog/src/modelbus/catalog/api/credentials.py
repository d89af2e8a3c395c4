"""Credentials over REST; a secret goes in and never comes out."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, Field, SecretStr

from modelbus.catalog.actions import credentials as actions
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, View, page_of
from modelbus.catalog.store import credentials as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.secrets import Vault
from modelbus.chassis.service import Reading, Transaction

routes = APIRouter(prefix="/api/v1/credentials", tags=["credentials"], route_class=OnceRoute)


def _as_header_value(secret: SecretStr) -> SecretStr:
    # What an HTTP header can carry: a key with a line break could smuggle a header of its own.
    if not all("!" <= character <= "~" for character in secret.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces")
    return secret


Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096), AfterValidator(_as_header_value)]
Priority = Annotated[int, Field(ge=0, le=1000, description="Lower is tried first.")]


def _vault(request: Request) -> Vault:
    vault: Vault = request.app.state.vault
    return vault


SealingVault = Annotated[Vault, Depends(_vault)]


class NewCredential(Input):
    """One API key of a supplier."""

    supplier_id: UUID
    name: Name
    secret: Secret
    """The key itself: printable ASCII without spaces. It is sealed at once and never shown again."""
    is_active: bool = True
    priority: Priority = 100


class CredentialChanges(Changes):
    """Fields to change; a new secret replaces the old one."""

    name: Name = ""
    secret: Secret = SecretStr("")
    is_active: bool = True
    priority: Priority = 100


class CredentialView(View):
    """A credential without its secret."""

    id: UUID
    supplier_id: UUID
    name: str
    hint: str
    """The last four characters of a long secret, to tell keys apart."""
    is_active: bool
    priority: int
    state: str
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_credentials(session: Reading, paging: ByName, supplier_id: UUID | None = None) -> Page[CredentialView]:
    """List credentials in order of creation."""
    found = await store.list_credentials(session, supplier_id=supplier_id, paging=paging)
    return page_of(CredentialView, found, paging)


@routes.post("", status_code=201)
async def create_credential(
    new: NewCredential, session: Transaction, answer: Shown, vault: SealingVault
) -> CredentialView:
    """Add a key to a supplier's pool; a listing of the supplier starts at once."""
    fields = new.model_dump(exclude={"secret"})
    created = await actions.create_credential(session, vault, new.secret.get_secret_value(), fields)
    return answer(CredentialView, created)


@routes.get("/{credential_id}")
async def show_credential(credential_id: UUID, session: Reading, answer: Shown) -> CredentialView:
    """Show a credential, without its secret."""
    return answer(CredentialView, await store.get_credential(session, credential_id))


@routes.patch("/{credential_id}")
async def change_credential(
    credential_id: UUID, changes: CredentialChanges, session: Transaction, answer: Shown, vault: SealingVault
) -> CredentialView:
    """Change some fields of a credential, or replace its secret."""
    fields = changes.given()
    secret: SecretStr | None = fields.pop("secret", None)
    plain = secret.get_secret_value() if secret is not None else None
    changed = await actions.change_credential(session, vault, credential_id, plain, fields)
    return answer(CredentialView, changed)


@routes.delete("/{credential_id}", status_code=204)
async def delete_credential(credential_id: UUID, session: Transaction) -> None:
    """Delete a credential; a supplier left without one serves nothing."""
    await actions.delete_credential(session, credential_id)


@routes.post("/{credential_id}/enable")
async def enable_credential(
    credential_id: UUID, session: Transaction, answer: Shown, vault: SealingVault
) -> CredentialView:
    """Put a credential into service."""
    changed = await actions.change_credential(session, vault, credential_id, None, {"is_active": True})
    return answer(CredentialView, changed)


@routes.post("/{credential_id}/disable")
async def disable_credential(
    credential_id: UUID, session: Transaction, answer: Shown, vault: SealingVault
) -> CredentialView:
    """Take a credential out of service."""
    changed = await actions.change_credential(session, vault, credential_id, None, {"is_active": False})
    return answer(CredentialView, changed)
