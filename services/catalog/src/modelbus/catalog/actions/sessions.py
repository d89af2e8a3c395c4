"""Signing in, refreshing and signing out."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NoReturn
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.attempts import WINDOW, Attempt, count_attempt, forgive_attempt
from modelbus.catalog.actions.failures import audit_failure
from modelbus.catalog.actions.passwords import Passwords
from modelbus.catalog.actions.signing_keys import SigningKeys
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.identity_errors import SessionOverError, SignInRefusedError
from modelbus.catalog.domain.sessions import REFRESH_MARK, Lifetimes, Session
from modelbus.catalog.domain.tokens import hash_of, mint
from modelbus.catalog.domain.users import User
from modelbus.catalog.store import attempts, sessions, users
from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id

REFRESH = "POST /api/v1/auth/refresh"
KEPT_FOR = timedelta(days=7)
"""Sessions that are over stay so long, so that a refresh token of theirs is still known for what it is."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What signing in takes."""

    database: Database
    passwords: Passwords
    keys: SigningKeys
    lifetimes: Lifetimes


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that has begun or goes on, and what refreshes it next."""

    user: User
    session: Session
    refresh_token: str


@dataclass(frozen=True, slots=True)
class Granted:
    """What somebody who has signed in gets."""

    opened: Opened
    access_token: str
    expires_in_s: int


async def sign_in(desk: Desk, attempt: Attempt, password: str) -> Granted:
    """Begin a session for who knows the password.

    No transaction is open while the password is compared: that takes long, and connections are few.

    Raises:
        TooManyAttemptsError: too many failed.
        SignInRefusedError: it is not the password, or the user may not enter.
        SigningInBusyError: too many wait.
    """
    await count_attempt(desk.database, attempt)
    async with desk.database.reading() as session:
        user = await users.find_user(session, attempt.name)
    fits = await desk.passwords.fits(None if user is None else user.password_hash, password)
    if user is None or not fits or not user.may_enter:
        await _refuse(desk, attempt, user, "user_disabled" if fits else "wrong_password")
    anew = None
    if user.password_hash is not None and desk.passwords.is_outdated(user.password_hash):
        anew = await desk.passwords.hash(password)
    async with desk.database.transaction(caller_of(user)) as session:
        session.info["action"] = attempt.action
        opened = await _let_in(session, desk, attempt, user, anew)
    if opened is None:
        await _refuse(desk, attempt, user, "changed_meanwhile")
    return await grant(desk, opened)


async def begin_session(session: AsyncSession, desk: Desk, user: User, address: str) -> Opened:
    """Begin a session of a user who has proved who they are."""
    now = datetime.now(UTC)
    begun = Session(new_id(), user.id, address, created_at=now, expires_at=now + desk.lifetimes.session)
    refresh_token = mint(REFRESH_MARK)
    await sessions.insert_session(session, begun, hash_of(refresh_token))
    session.info["detail"] = {"session": str(begun.id), "address": address}
    return Opened(user, begun, refresh_token)


async def refresh(desk: Desk, refresh_token: str, address: str) -> Granted:
    """Answer the tokens that follow; a refresh token that comes a second time ends the session for everybody.

    Whoever shows it again, one of two has it from the other: nobody can tell which.

    Raises:
        SessionOverError: the session has ended, or just now did.
    """
    now, shown = datetime.now(UTC), hash_of(refresh_token)
    opened, robbed = None, None
    async with desk.database.transaction() as session:
        session_id = await sessions.use_refresh_token(session, shown, now)
        if session_id is None:
            robbed = await _end_reused(session, shown, now)
        else:
            opened = await _go_on(session, session_id, now)
    if robbed is not None:
        await audit_failure(desk.database, REFRESH, "refresh_token_reused", by=caller_of(robbed), address=address)
    if opened is None:
        raise SessionOverError
    return await grant(desk, opened)


async def sign_out(session: AsyncSession, session_id: UUID) -> None:
    """End a session."""
    await sessions.end_session(session, session_id, datetime.now(UTC))


async def forget_over(session: AsyncSession) -> None:
    """Delete sessions, and counts of attempts, that have been over for a while."""
    now = datetime.now(UTC)
    await sessions.forget_sessions(session, before=now - KEPT_FOR)
    await attempts.forget_old_attempts(session, before=now - WINDOW)


async def grant(desk: Desk, opened: Opened) -> Granted:
    """Answer the session with an access token, which other services can verify without asking.

    Not within a transaction: the keys may have to be read, over a connection of their own.
    """
    user = opened.user
    claims = {"sub": str(user.id), "sid": str(opened.session.id), "name": user.name, "role": user.role}
    return Granted(opened, await desk.keys.sign(claims), int(desk.lifetimes.access.total_seconds()))


def caller_of(user: User) -> Caller:
    """Answer the user as a caller."""
    return Caller(name=user.name, role=Role(user.role), id=user.id)


async def _let_in(session: AsyncSession, desk: Desk, attempt: Attempt, user: User, anew: str | None) -> Opened | None:
    """Begin the session, unless password or permission went while the password was compared."""
    try:
        now = await users.lock_user(session, user.id)
    except NotFoundError:
        return None
    if not now.may_enter or now.password_hash != user.password_hash:
        return None
    if anew is not None:
        await users.save_user(session, replace(now, password_hash=anew))
    await forgive_attempt(session, attempt)
    return await begin_session(session, desk, now, attempt.address)


async def _go_on(session: AsyncSession, session_id: UUID, now: datetime) -> Opened | None:
    user = await sessions.find_user_of_session(session, session_id, now)
    held = await sessions.find_session(session, session_id)
    if user is None or held is None or not user.may_enter:
        return None
    following = mint(REFRESH_MARK)
    await sessions.insert_refresh_token(session, session_id, hash_of(following))
    return Opened(user, held, following)


async def _end_reused(session: AsyncSession, shown: str, now: datetime) -> User | None:
    """End the session of a refresh token that was used before; answer whose it was, if it was not over already."""
    session_id = await sessions.find_session_of_refresh_token(session, shown)
    if session_id is None:
        return None
    user = await sessions.find_user_of_session(session, session_id, now)
    return user if await sessions.end_session(session, session_id, now) else None


async def _refuse(desk: Desk, attempt: Attempt, user: User | None, reason: str) -> NoReturn:
    by = None if user is None else caller_of(user)
    await audit_failure(desk.database, attempt.action, reason, by=by, address=attempt.address)
    raise SignInRefusedError
