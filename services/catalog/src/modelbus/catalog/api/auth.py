"""Signing in and out over REST."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field, SecretStr

from modelbus.catalog.actions import sessions as actions
from modelbus.catalog.actions.attempts import Attempt
from modelbus.catalog.actions.sessions import Desk, Granted
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.users import UserView
from modelbus.catalog.api.views import Input, Name, View
from modelbus.catalog.api.visitors import Address
from modelbus.chassis.auth import Admission, Means
from modelbus.chassis.callers import Role
from modelbus.chassis.transactions import Transaction

routes = APIRouter(prefix="/api/v1/auth", tags=["signing in"], dependencies=GUARDS)

JWKS_HELD_S = 60


async def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _admission(request: Request) -> Admission:
    admission: Admission = request.state.admission
    return admission


TheDesk = Annotated[Desk, Depends(_desk)]
Admitted = Annotated[Admission, Depends(_admission)]
"""Who asks, and by what they came in."""


class Login(Input):
    """Who one is, and the proof."""

    name: Name
    password: Annotated[SecretStr, Field(min_length=1, max_length=1024)]


class Refresh(Input):
    """What keeps a session open."""

    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=200)]
    """Good once; the answer has the next."""


class SessionView(View):
    """A session, with the two tokens that make it."""

    access_token: str
    """Shown as `Authorization: Bearer`; a JWT that other services can verify by `/api/v1/auth/jwks`."""
    token_type: str = "Bearer"  # noqa: S105 - what RFC 6750 calls it
    expires_in: int
    """Seconds until the access token is over."""
    refresh_token: str
    """Exchange it for the next pair before then. It is good once: shown a second time, it ends the session."""
    session_expires_at: datetime
    """By then one has to sign in again, refreshed or not."""
    user: UserView


class MeView(View):
    """Who asks."""

    id: UUID | None
    """None for the static administrator."""
    name: str
    role: Role
    means: Means
    """What the caller showed: the static token, a session's, an API token, or one of the issuer."""


class Jwks(View):
    """Public keys, as RFC 7517 writes them."""

    keys: list[dict[str, Any]]


def session_view(granted: Granted, response: Response) -> SessionView:
    """Show a session, to nobody but who has asked."""
    response.headers["Cache-Control"] = "no-store"
    opened = granted.opened
    return SessionView(
        access_token=granted.access_token,
        expires_in=granted.expires_in_s,
        refresh_token=opened.refresh_token,
        session_expires_at=opened.session.expires_at,
        user=UserView.model_validate(opened.user),
    )


@routes.post("/login")
async def sign_in(login: Login, desk: TheDesk, address: Address, response: Response) -> SessionView:
    """Sign in by name and password; too many failures make the account, and the address, wait."""
    attempt = Attempt("POST /api/v1/auth/login", login.name.lower(), address)
    return session_view(await actions.sign_in(desk, attempt, login.password.get_secret_value()), response)


@routes.post("/refresh")
async def refresh(shown: Refresh, desk: TheDesk, address: Address, response: Response) -> SessionView:
    """Exchange a refresh token for the next access and refresh tokens."""
    return session_view(await actions.refresh(desk, shown.refresh_token.get_secret_value(), address), response)


@routes.post("/logout", status_code=204)
async def sign_out(session: Transaction, admitted: Admitted) -> None:
    """End the session whose access token this request shows; API tokens have none, and stay good."""
    if admitted.means == Means.SESSION and admitted.means_id is not None:
        await actions.sign_out(session, admitted.means_id)


@routes.get("/me")
async def show_me(admitted: Admitted) -> MeView:
    """Show who asks, and which role that gives."""
    caller = admitted.caller
    return MeView(id=caller.id, name=caller.name, role=caller.role, means=admitted.means)


@routes.get("/jwks")
async def show_jwks(desk: TheDesk, response: Response) -> Jwks:
    """Show the public keys by which access tokens are verified: issuer `modelbus-catalog`, audience `modelbus`."""
    response.headers["Cache-Control"] = f"public, max-age={JWKS_HELD_S}"
    return Jwks(keys=await desk.keys.public())
