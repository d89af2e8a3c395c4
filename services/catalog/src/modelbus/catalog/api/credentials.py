"""Credentials over REST; a secret goes in and never comes out."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AfterValidator, Field, SecretStr

from modelbus.catalog.actions import credentials as actions
from modelbus.catalog.actions.sealing import reseal
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.limits import RequestsPerMinute, TokensPerMinute
from modelbus.catalog.api.references import Breaking, ModelSet, WarningView
from modelbus.catalog.api.views import Changes, Input, Name, Page, Shown, View, page_of, sorted_by
from modelbus.catalog.domain.credentials import State
from modelbus.catalog.store import credentials as store
from modelbus.catalog.store.credentials import CredentialFilter
from modelbus.catalog.store.paging import Paging
from modelbus.chassis.database import Database
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.secrets import Vault
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/credentials", tags=["credentials"], route_class=OnceRoute, dependencies=GUARDS)


def _as_header_value(secret: SecretStr) -> SecretStr:
    # What an HTTP header can carry: a key with a line break could smuggle a header of its own.
    if not all("!" <= character <= "~" for character in secret.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces")
    return secret


Secret = Annotated[SecretStr, Field(min_length=1, max_length=4096), AfterValidator(_as_header_value)]
Priority = Annotated[int, Field(ge=0, le=1000, description="Lower is tried first.")]
Weight = Annotated[int, Field(ge=0, le=1000, description="Share of the calls among keys of equal priority.")]


async def _vault(request: Request) -> Vault:
    vault: Vault = request.app.state.vault
    return vault


async def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


SealingVault = Annotated[Vault, Depends(_vault)]
WholeDatabase = Annotated[Database, Depends(_database)]


class NewCredential(Input):
    """One API key of a supplier."""

    supplier_id: UUID
    name: Name
    secret: Secret
    """The key itself: printable ASCII without spaces. It is sealed at once and never shown again."""
    is_active: bool = True
    priority: Priority = 100
    weight: Weight = 1
    model_ids: ModelSet | None = None
    """The models it may be used for; null takes every model."""
    rpm_limit: RequestsPerMinute | None = None
    """What the supplier allows."""
    tpm_limit: TokensPerMinute | None = None
    """What the supplier allows."""

    def fields(self) -> dict[str, Any]:
        """Answer what the credential is made of, without the secret."""
        return self.model_dump(exclude={"secret"})


class CredentialChanges(Changes):
    """Fields to change; a new secret replaces the old one, and models that are given all that there were."""

    name: Name = ""
    secret: Secret = SecretStr("")
    is_active: bool = True
    priority: Priority = 100
    weight: Weight = 1
    model_ids: ModelSet | None = None
    rpm_limit: RequestsPerMinute | None = None
    tpm_limit: TokensPerMinute | None = None


class NewSecret(Input):
    """What replaces a secret."""

    secret: Secret
    """The key itself: printable ASCII without spaces. It is sealed at once and never shown again."""


class CredentialView(View):
    """A credential without its secret."""

    id: UUID
    supplier_id: UUID
    name: str
    hint: str
    """The last four characters of a long secret, to tell keys apart."""
    is_active: bool
    priority: int
    weight: int
    model_ids: list[UUID] | None
    rpm_limit: int | None
    tpm_limit: int | None
    state: str
    """`ok`; `cooling` until `state_until`; `dead` until it gets a new secret, is reset, or is disabled and enabled."""
    state_reason: str | None
    state_until: datetime | None
    state_since: datetime | None
    """Since when it is not ok."""
    last_used_at: datetime | None
    """As far as routers have told their usage."""
    warnings: list[WarningView]
    """Models it may be used for that are not available."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class ResealedView(View):
    """What was done with one kind of secret."""

    what: str
    checked: int
    resealed: int
    """Were not under the first master key, and now are."""
    unreadable: int
    """No master key opens them; they are left as they are."""


class ResealingView(View):
    """What was done with each kind of secret; once nothing is left to reseal, older master keys can be retired."""

    items: list[ResealedView]


async def _read_filter(
    *,
    supplier_id: UUID | None = None,
    name: Annotated[str | None, Query(max_length=200)] = None,
    search: Annotated[str | None, Query(max_length=200, description="Part of the name, in any case.")] = None,
    is_active: bool | None = None,
    state: State | None = None,
    model_id: Annotated[UUID | None, Query(description="A model that it may be used for.")] = None,
) -> CredentialFilter:
    return CredentialFilter(supplier_id, name, search, is_active, state, model_id)


Wanted = Annotated[CredentialFilter, Depends(_read_filter)]
Sorted = Annotated[Paging, sorted_by("name", "updated_at", "priority", "state")]


@routes.get("")
async def list_credentials(session: Reading, paging: Sorted, wanted: Wanted) -> Page[CredentialView]:
    """List credentials, without their secrets."""
    return page_of(CredentialView, await store.list_credentials(session, wanted, paging=paging), paging)


@routes.post("", status_code=201)
async def create_credential(
    new: NewCredential, session: Transaction, answer: Shown, vault: SealingVault
) -> CredentialView:
    """Add a key to a supplier's pool; a listing of the supplier starts at once."""
    created = await actions.create_credential(session, vault, new.secret.get_secret_value(), new.fields())
    return await show_credential(created.id, session, answer)


@routes.post("/reseal")
async def reseal_secrets(session: Transaction, vault: SealingVault, database: WholeDatabase) -> ResealingView:
    """Bring every sealed secret under the first master key, some at a time, while everything serves.

    Credentials, signing keys and kept answers alike. What is done stays done: asked again, it goes on where it
    stopped.
    """
    done = await reseal(database, vault)
    session.info["detail"] = {each.what: each.resealed for each in done}
    return ResealingView(items=[ResealedView.model_validate(each) for each in done])


@routes.get("/{credential_id}")
async def show_credential(credential_id: UUID, session: Reading, answer: Shown) -> CredentialView:
    """Show a credential, without its secret."""
    return answer(CredentialView, await store.show_credential(session, credential_id))


@routes.patch("/{credential_id}")
async def change_credential(
    credential_id: UUID,
    changes: CredentialChanges,
    session: Transaction,
    answer: Shown,
    vault: SealingVault,
    breaking: Breaking,
) -> CredentialView:
    """Change some fields of a credential, or replace its secret."""
    fields = changes.given()
    secret: SecretStr | None = fields.pop("secret", None)
    plain = secret.get_secret_value() if secret is not None else None
    await actions.change_credential(session, vault, credential_id, fields, plain, breaking)
    return await show_credential(credential_id, session, answer)


@routes.delete("/{credential_id}", status_code=204)
async def delete_credential(credential_id: UUID, session: Transaction, breaking: Breaking) -> None:
    """Delete a credential and forget its secret; a supplier left without one serves nothing."""
    await actions.delete_credential(session, credential_id, breaking)


@routes.post("/{credential_id}/rotate")
async def rotate_credential(
    credential_id: UUID, new: NewSecret, session: Transaction, answer: Shown, vault: SealingVault
) -> CredentialView:
    """Replace the secret; the credential is `ok` again, and a listing of the supplier starts at once."""
    await actions.change_credential(session, vault, credential_id, {}, new.secret.get_secret_value())
    return await show_credential(credential_id, session, answer)


@routes.post("/{credential_id}/reset")
async def reset_credential(credential_id: UUID, session: Transaction, answer: Shown) -> CredentialView:
    """Call it `ok` again, whatever was seen of it; one that was `dead` is tried by a listing at once."""
    await actions.reset_credential(session, credential_id)
    return await show_credential(credential_id, session, answer)


@routes.post("/{credential_id}/enable")
async def enable_credential(
    credential_id: UUID, session: Transaction, answer: Shown, vault: SealingVault
) -> CredentialView:
    """Put a credential into service."""
    await actions.change_credential(session, vault, credential_id, {"is_active": True})
    return await show_credential(credential_id, session, answer)


@routes.post("/{credential_id}/disable")
async def disable_credential(
    credential_id: UUID, session: Transaction, answer: Shown, vault: SealingVault, breaking: Breaking
) -> CredentialView:
    """Take a credential out of service."""
    await actions.change_credential(session, vault, credential_id, {"is_active": False}, consent=breaking)
    return await show_credential(credential_id, session, answer)
