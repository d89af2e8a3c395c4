"""Signing in through the issuer: to it and back, by authorization code with PKCE, state and nonce."""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.responses import RedirectResponse

from modelbus.catalog.actions.failures import audit_failure
from modelbus.catalog.actions.issuers import ACTION, sign_in_by_issuer
from modelbus.catalog.actions.sessions import Desk
from modelbus.catalog.api.auth import SessionView, session_view
from modelbus.catalog.api.guards import GUARDS_OF_CALLBACKS
from modelbus.catalog.api.visitors import Address
from modelbus.catalog.clients.issuer import Issuer
from modelbus.catalog.domain.identity_errors import IssuerOffError, IssuerRefusedError
from modelbus.chassis.secrets import Vault, WrongMasterKeyError

routes = APIRouter(prefix="/api/v1/auth/oidc", tags=["signing in"], dependencies=GUARDS_OF_CALLBACKS)

COOKIE = "modelbus_sign_in"
PATIENCE = timedelta(minutes=10)
"""How long one may take at the issuer."""


class _Errand(msgspec.Struct):
    """What the browser carries to the issuer and back, sealed: no table has to remember who set out."""

    state: str
    nonce: str
    verifier: str
    until: datetime


class Returned(BaseModel):
    """What the issuer sends the browser back with; issuers add to it what they like."""

    code: Annotated[str | None, Field(max_length=4096)] = None
    """Left out where the issuer did not sign anybody in."""
    state: Annotated[str | None, Field(max_length=200)] = None


async def _issuer(request: Request) -> Issuer:
    issuer: Issuer | None = request.app.state.issuer
    if issuer is None:
        raise IssuerOffError
    return issuer


TheIssuer = Annotated[Issuer, Depends(_issuer)]


@routes.get("/login", status_code=302, response_class=RedirectResponse)
async def set_out(request: Request, issuer: TheIssuer) -> RedirectResponse:
    """Go to the issuer to sign in there; it sends the browser back to the callback."""
    errand = _Errand(
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        until=datetime.now(UTC) + PATIENCE,
    )
    url = await issuer.authorization_url(state=errand.state, nonce=errand.nonce, verifier=errand.verifier)
    response = RedirectResponse(url, status_code=302, headers={"Cache-Control": "no-store"})
    vault: Vault = request.app.state.vault
    response.set_cookie(
        COOKIE,
        vault.seal(msgspec.json.encode(errand).decode()),
        max_age=int(PATIENCE.total_seconds()),
        path=routes.prefix,
        secure=request.app.state.public_url.startswith("https:"),
        httponly=True,
        # The issuer's redirect comes from another site, as a navigation: `strict` would leave the cookie at home.
        samesite="lax",
    )
    return response


@routes.get("/callback")
async def come_back(
    request: Request,
    response: Response,
    returned: Annotated[Returned, Query()],
    issuer: TheIssuer,
    address: Address,
    carried: Annotated[str | None, Cookie(alias=COOKIE)] = None,
) -> SessionView:
    """Come back from the issuer with a code; answers a session as signing in by password does."""
    desk: Desk = request.app.state.desk
    response.delete_cookie(COOKIE, path=routes.prefix)
    try:
        errand = _errand(request.app.state.vault, carried, returned.state)
        identity = await issuer.identify(returned.code, nonce=errand.nonce, verifier=errand.verifier)
    except IssuerRefusedError:
        await audit_failure(desk.database, ACTION, "not_proved", by=None, address=address)
        raise
    return session_view(await sign_in_by_issuer(desk, identity, address), response)


def _errand(vault: Vault, carried: str | None, state: str | None) -> _Errand:
    """Open what the browser carried; the state shows that it is this browser that set out.

    Raises:
        IssuerRefusedError: it is not, or took too long.
    """
    try:
        errand = msgspec.json.decode(vault.open(carried or ""), type=_Errand)
    except (WrongMasterKeyError, msgspec.DecodeError) as error:
        raise IssuerRefusedError("this sign-in was not begun in this browser; begin again") from error
    if not hmac.compare_digest(errand.state.encode(), (state or "").encode()):
        raise IssuerRefusedError("this sign-in is not the one that this browser began; begin again")
    if errand.until < datetime.now(UTC):
        raise IssuerRefusedError("this sign-in took too long; begin again")
    return errand
