"""Users over REST."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, SecretStr, StringConstraints

from modelbus.catalog.actions import users as actions
from modelbus.catalog.actions.attempts import Attempt
from modelbus.catalog.actions.users import PasswordChange
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.views import ByName, Changes, Input, Name, Page, Shown, View, page_of
from modelbus.catalog.api.visitors import Address
from modelbus.catalog.domain.users import LONGEST_PASSWORD, SHORTEST_PASSWORD
from modelbus.catalog.store import users as store
from modelbus.chassis.idempotency import OnceRoute
from modelbus.chassis.transactions import Reading, Transaction

routes = APIRouter(prefix="/api/v1/users", tags=["users"], route_class=OnceRoute, dependencies=GUARDS)

UserName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$"),
    Field(description="Letters, digits, `.`, `_`, `@`, `+`, `-`; upper and lower case are the same."),
]
RoleName = Annotated[
    Literal["viewer", "editor", "admin"],
    Field(description="`viewer` reads, `editor` also changes the catalog, `admin` also says who may."),
]
Password = Annotated[
    SecretStr,
    Field(
        min_length=SHORTEST_PASSWORD,
        max_length=LONGEST_PASSWORD,
        description="Any characters; not the user's name. It is hashed at once and never shown again.",
    ),
]


class NewUser(Input):
    """Somebody who is to sign in by a password."""

    name: UserName
    display_name: Name | None = None
    role: RoleName
    password: Password
    is_active: bool = True

    def fields(self) -> dict[str, Any]:
        """Answer what the user is made of, but for the password."""
        return self.model_dump(exclude={"password"})


class UserChanges(Changes):
    """Fields to change."""

    display_name: Name | None = None
    role: RoleName = "viewer"
    is_active: bool = True


class NewPassword(Input):
    """A password in place of the present one."""

    password: Password
    current_password: Annotated[SecretStr, Field(max_length=1024)] | None = None
    """The present one; needed where it is one's own."""


class UserView(View):
    """A user as administrators see one."""

    id: UUID
    name: str
    display_name: str | None
    role: str
    is_active: bool
    issuer: str | None
    """Through whom the user signs in; null for one with a password."""
    version: int
    """Grows with every change; the ETag."""
    created_at: datetime
    updated_at: datetime


@routes.get("")
async def list_users(
    session: Reading, paging: ByName, name: str | None = None, role: RoleName | None = None
) -> Page[UserView]:
    """List users in order of creation."""
    return page_of(UserView, await store.list_users(session, name=name, role=role, paging=paging), paging)


@routes.post("", status_code=201)
async def create_user(new: NewUser, session: Transaction, request: Request, answer: Shown) -> UserView:
    """Add a user who signs in by a password; nobody gives a role above their own."""
    made = await actions.create_user(
        session, request.app.state.desk.passwords, new.password.get_secret_value(), new.fields()
    )
    return answer(UserView, made)


@routes.get("/{user_id}")
async def show_user(user_id: UUID, session: Reading, answer: Shown) -> UserView:
    """Show a user."""
    return answer(UserView, await store.get_user(session, user_id))


@routes.patch("/{user_id}")
async def change_user(user_id: UUID, changes: UserChanges, session: Transaction, answer: Shown) -> UserView:
    """Change some fields of a user; who is disabled is signed out, and the last active admin stays one."""
    return answer(UserView, await actions.change_user(session, user_id, changes.given()))


@routes.delete("/{user_id}", status_code=204)
async def delete_user(user_id: UUID, session: Transaction) -> None:
    """Delete a user, with sessions and tokens; one whom the issuer vouches for can come back: disable that one."""
    await actions.delete_user(session, user_id)


@routes.put("/{user_id}/password", status_code=204)
async def change_password(user_id: UUID, new: NewPassword, request: Request, address: Address) -> None:
    """Replace a password, one's own or as an admin anybody's; every session of the user ends."""
    current = None if new.current_password is None else new.current_password.get_secret_value()
    change = PasswordChange(user_id, new.password.get_secret_value(), current)
    attempt = Attempt("PUT /api/v1/users/{user_id}/password", "", address)
    await actions.change_password(request.app.state.desk, request.state.caller, attempt, change)


@routes.delete("/{user_id}/sessions", status_code=204)
async def end_sessions(user_id: UUID, session: Transaction) -> None:
    """Sign a user out everywhere, oneself or as an admin anybody; API tokens stay good."""
    await actions.end_sessions(session, user_id)
