"""API tokens over REST."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter

from modelbus.catalog.actions import api_tokens as actions
from modelbus.catalog.api.access_keys import Time
from modelbus.catalog.api.auth import Admitted
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.users import RoleName
from modelbus.catalog.api.views import ByName, Input, Name, Page, Shown, View, page_of
from modelbus.catalog.store import api_tokens as store
from modelbus.chassis.callers import Role
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/auth/tokens", tags=["API tokens"], route_class=OnceRoute, dependencies=GUARDS)


class NewApiToken(Input):
    """A token for a program."""

    name: Name
    role: RoleName
    """Not above one's own; where that is lowered later, the token's falls with it."""
    expires_at: Time | None = None
    """A time to come, with its offset from UTC; null never expires."""

    def fields(self) -> dict[str, Any]:
        """Answer what the token is made of."""
        return self.model_dump()


class ApiTokenView(View):
    """An API token without the token itself."""

    id: UUID
    user_id: UUID | None
    """Whose it is; null where the static administrator made it."""
    name: str
    prefix: str
    """The first characters of the token, to tell it from others."""
    role: str
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


class MintedApiToken(ApiTokenView):
    """An API token with the token itself."""

    token: str
    """Shown this once; only its hash is kept."""


@routes.get("")
async def list_api_tokens(session: Reading, paging: ByName, admitted: Admitted) -> Page[ApiTokenView]:
    """List one's own API tokens, as an admin everybody's, in order of creation."""
    caller = admitted.caller
    if caller.may(Role.ADMIN):
        found = await store.list_api_tokens(session, of=None, paging=paging)
    else:
        # Whom the issuer alone knows is no user here, and has none.
        found = [] if caller.id is None else await store.list_api_tokens(session, of=caller.id, paging=paging)
    return page_of(ApiTokenView, found, paging)


@routes.post("", status_code=201)
async def create_api_token(new: NewApiToken, session: Transaction, admitted: Admitted, answer: Shown) -> MintedApiToken:
    """Make an API token; the answer is the only place where it is shown. One can't be made by another."""
    made, plain = await actions.create_api_token(session, admitted, new.fields())
    return MintedApiToken(**answer(ApiTokenView, made).model_dump(), token=plain)


@routes.delete("/{token_id}", status_code=204)
async def delete_api_token(token_id: UUID, session: Transaction) -> None:
    """Withdraw an API token, one's own or as an admin anybody's; within a second it opens nothing any more."""
    await actions.delete_api_token(session, token_id)
