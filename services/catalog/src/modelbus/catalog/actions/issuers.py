"""Signing in through the issuer: whoever it vouches for becomes a user with the role that it says."""

import re
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.failures import audit_failure
from modelbus.catalog.actions.sessions import Desk, Granted, begin_session, caller_of, grant
from modelbus.catalog.actions.versions import keep
from modelbus.catalog.domain.identity_errors import IssuerRefusedError
from modelbus.catalog.domain.issuers import Identity
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.domain.users import NAME_PATTERN, RESERVED_NAMES, User
from modelbus.catalog.store import users
from modelbus.chassis.callers import Caller
from modelbus.chassis.ids import new_id

ACTION = "GET /api/v1/auth/oidc/callback"


async def sign_in_by_issuer(desk: Desk, identity: Identity, address: str) -> Granted:
    """Begin a session for whom the issuer has identified, whom it makes a user the first time.

    Raises:
        IssuerRefusedError: nothing that the issuer says means a role, or the user is disabled here.
    """
    opened, known = None, None
    async with desk.database.transaction(Caller.system("issuer")) as session:
        session.info["action"] = ACTION
        await users.hold_issuers_subject(session, identity.issuer, identity.subject)
        known = await users.find_issuers_user(session, identity.issuer, identity.subject)
        if identity.role is not None and (known is None or known.may_enter):
            user = await _make(session, identity) if known is None else await _follow(session, known, identity)
            # From here on it is the user who acts, and whom the audit log names.
            session.info["caller"] = caller_of(user)
            opened = await begin_session(session, desk, user, address)
    if opened is None:
        by = None if known is None else caller_of(known)
        reason = "no_role" if identity.role is None else "user_disabled"
        await audit_failure(desk.database, ACTION, reason, by=by, address=address, subject=identity.subject)
        raise IssuerRefusedError("the issuer knows you, but nothing that it says lets you in here")
    return await grant(desk, opened)


async def _make(session: AsyncSession, identity: Identity) -> User:
    assert identity.role is not None  # noqa: S101 - the caller has looked
    now = datetime.now(UTC)
    user = User(
        id=new_id(),
        name=await _free_name(session, identity),
        display_name=identity.display_name,
        role=identity.role,
        is_active=True,
        password_hash=None,
        issuer=identity.issuer,
        subject=identity.subject,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    await users.insert_user(session, user)
    await keep(session, None, user)
    return user


async def _follow(session: AsyncSession, known: User, identity: Identity) -> User:
    """Take over what the issuer says by now; its word on a role counts at every sign-in."""
    assert identity.role is not None  # noqa: S101 - the caller has looked
    user = await users.lock_user(session, known.id)
    told = replace(user, role=identity.role, display_name=identity.display_name)
    if told == user:
        return user
    changed = stamp(told)
    await users.save_user(session, changed)
    await keep(session, user, changed)
    return changed


async def _free_name(session: AsyncSession, identity: Identity) -> str:
    """Answer the name that the issuer gives, where that is free: a local user's name is never taken over."""
    name = (identity.name or "").strip().lower()
    if re.fullmatch(NAME_PATTERN, name) and name not in RESERVED_NAMES and await users.find_user(session, name) is None:
        return name
    return f"{identity.issuer}#{identity.subject}"
