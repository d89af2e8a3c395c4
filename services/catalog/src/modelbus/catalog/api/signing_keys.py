"""The keys that sign sessions, over REST; private halves are never shown."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request

from modelbus.catalog.actions import signing_keys as actions
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.views import Page, View
from modelbus.catalog.store import signing_keys as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/auth/signing-keys", tags=["signing in"], route_class=OnceRoute, dependencies=GUARDS)


class KeyView(View):
    """A signing key, its private half left out."""

    id: UUID
    """The `kid` of its tokens."""
    created_at: datetime
    retired_at: datetime | None
    """From then on it only verifies; null for the one that signs."""


@routes.get("")
async def list_signing_keys(session: Reading) -> Page[KeyView]:
    """List the signing keys, the newest first; there are never many."""
    keys = [KeyView.model_validate(key) for key in await store.every_signing_key(session)]
    return Page(items=keys, next_cursor=None)


@routes.post("", status_code=201)
async def rotate_signing_key(session: Transaction, request: Request) -> KeyView:
    """Make a new key that signs from now on; those before it verify until their last token is over."""
    return KeyView.model_validate(await actions.rotate_signing_key(session, request.app.state.vault))


@routes.delete("/{key_id}", status_code=204)
async def withdraw_signing_key(key_id: UUID, session: Transaction) -> None:
    """Withdraw a key that may have leaked: what it signed is refused, and sessions have to be refreshed."""
    await actions.withdraw_signing_key(session, key_id)
