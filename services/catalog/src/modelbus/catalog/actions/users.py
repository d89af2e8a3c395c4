"""What can be done with users."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.attempts import Attempt, count_attempt, forgive_attempt
from modelbus.catalog.actions.failures import audit_failure
from modelbus.catalog.actions.passwords import Passwords
from modelbus.catalog.actions.sessions import Desk
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.errors import AlreadyExistsError
from modelbus.catalog.domain.identity_errors import (
    IssuersUserError,
    LastAdminError,
    RoleAboveOwnError,
    WrongPasswordError,
)
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.domain.users import User, check_name, check_password
from modelbus.catalog.store import sessions, users
from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.ids import new_id
from modelbus.chassis.roles import RoleTooLowError


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """A new password for a user, with the present one where it is their own."""

    user_id: UUID
    password: str = field(repr=False)
    current: str | None = field(repr=False)


async def create_user(session: AsyncSession, passwords: Passwords, password: str, fields: dict[str, Any]) -> User:
    """Add a user who signs in by a password.

    Raises:
        AlreadyExistsError: the name is taken.
        UserNameRefusedError: the name belongs to a caller that is no user.
        PasswordRefusedError: the password is guessed too easily.
        RoleAboveOwnError: the caller may not give that role.
    """
    name: str = fields["name"]
    check_name(name)
    check_password(name, password)
    refuse_above_own(session.info["caller"], fields["role"])
    if await users.find_user(session, name) is not None:
        raise AlreadyExistsError("user", "name", name)
    now = datetime.now(UTC)
    user = User(
        **fields,
        id=new_id(),
        password_hash=await passwords.hash(password),
        issuer=None,
        subject=None,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    await users.insert_user(session, user)
    await keep(session, None, user)
    return user


async def change_user(session: AsyncSession, user_id: UUID, fields: dict[str, Any]) -> User:
    """Change the given fields; who is disabled is signed out.

    Raises:
        RoleAboveOwnError: the user's role, as it is or is to be, is above the caller's.
        LastAdminError: nobody could administer users any more.
        IssuersUserError: the issuer decides on the role.
    """
    admins = await _hold_admins(session, loses_power=_loses_power(fields))
    user = await _lock(session, user_id)
    changed = replace(user, **fields)
    if changed == user:
        return user
    if changed.role != user.role:
        refuse_above_own(session.info["caller"], changed.role)
        if user.issuer is not None:
            raise IssuersUserError("role")
    if changed.role != Role.ADMIN or not changed.is_active:
        _refuse_last(user, admins)
    changed = stamp(changed)
    await users.save_user(session, changed)
    if not changed.is_active:
        await sessions.end_sessions(session, user_id, datetime.now(UTC))
    await keep(session, user, changed)
    return changed


async def delete_user(session: AsyncSession, user_id: UUID) -> None:
    """Take the user out of the catalog, with their sessions; their tokens open nothing any more.

    Raises:
        LastAdminError: nobody could administer users any more.
    """
    admins = await _hold_admins(session, loses_power=True)
    user = await _lock(session, user_id)
    _refuse_last(user, admins)
    await users.save_user(session, stamp(replace(user, deleted_at=datetime.now(UTC))))
    await sessions.end_sessions(session, user_id, datetime.now(UTC))
    await keep(session, user, None)


async def change_password(desk: Desk, caller: Caller, attempt: Attempt, change: PasswordChange) -> None:
    """Replace a password, and end every session that was begun with the one before.

    Who changes their own shows the present one, so that a session left open is not an account lost; guessing it
    counts as guessing at the door. No transaction is open while passwords are hashed.

    Raises:
        NotFoundError: there is no such user.
        RoleTooLowError: it is somebody else's, and the caller is no admin.
        TooManyAttemptsError: the present password was guessed at too often.
        WrongPasswordError: the present password is another.
        IssuersUserError: the user has none here.
        PasswordRefusedError: the password is guessed too easily.
    """
    is_own = caller.id == change.user_id
    if not is_own and not caller.may(Role.ADMIN):
        raise RoleTooLowError(Role.ADMIN)
    async with desk.database.reading() as session:
        user = await users.get_user(session, change.user_id)
    if user.password_hash is None:
        raise IssuersUserError("password")
    check_password(user.name, change.password)
    attempt = replace(attempt, name=user.name)
    if is_own:
        await count_attempt(desk.database, attempt)
        if not await desk.passwords.fits(user.password_hash, change.current or ""):
            await audit_failure(desk.database, attempt.action, "wrong_password", by=caller, address=attempt.address)
            raise WrongPasswordError
    password_hash = await desk.passwords.hash(change.password)
    async with desk.database.transaction(caller) as session:
        session.info["action"] = attempt.action
        present = await _lock(session, change.user_id)
        if is_own and present.password_hash != user.password_hash:
            raise WrongPasswordError
        changed = stamp(replace(present, password_hash=password_hash))
        await users.save_user(session, changed)
        await sessions.end_sessions(session, user.id, datetime.now(UTC))
        await forgive_attempt(session, attempt)
        await keep(session, present, changed)


async def end_sessions(session: AsyncSession, user_id: UUID) -> None:
    """Sign a user out wherever they have signed in.

    Raises:
        RoleTooLowError: it is somebody else, and the caller is no admin.
    """
    caller: Caller = session.info["caller"]
    if caller.id != user_id and not caller.may(Role.ADMIN):
        raise RoleTooLowError(Role.ADMIN)
    await users.lock_user(session, user_id)
    await sessions.end_sessions(session, user_id, datetime.now(UTC))


def refuse_above_own(caller: Caller, role: str) -> None:
    """Let nobody give a role, or touch somebody who has one, that is above their own.

    Raises:
        RoleAboveOwnError: it is above.
    """
    if caller.role != Role.SYSTEM and not caller.may(Role(role)):
        raise RoleAboveOwnError(role, caller.role)


async def _lock(session: AsyncSession, user_id: UUID) -> User:
    user = await users.lock_user(session, user_id)
    expect(session, user)
    refuse_above_own(session.info["caller"], user.role)
    return user


def _loses_power(fields: dict[str, Any]) -> bool:
    return fields.get("role", Role.ADMIN) != Role.ADMIN or not fields.get("is_active", True)


async def _hold_admins(session: AsyncSession, *, loses_power: bool) -> list[User]:
    """Hold every admin before the user: two who take the role from one another must wait, not cross."""
    return await users.lock_admins(session) if loses_power else []


def _refuse_last(user: User, admins: list[User]) -> None:
    if [admin.id for admin in admins] == [user.id]:
        raise LastAdminError(user.name)
