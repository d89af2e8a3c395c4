"""Whom a bearer token lets in: the session, API token or issuer's token that it is, as things stand now."""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.sessions import caller_of
from modelbus.catalog.actions.signing_keys import SigningKeys
from modelbus.catalog.clients.issuer import Issuer
from modelbus.catalog.domain.api_tokens import MARK, ApiToken
from modelbus.catalog.domain.identity_errors import IssuerMisbehavedError
from modelbus.catalog.domain.tokens import hash_of
from modelbus.catalog.store import api_tokens, sessions, users
from modelbus.chassis.auth import ADMINISTRATOR, Admission, Means
from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.database import Database
from modelbus.chassis.logs import logger

log = logger(__name__)

HELD_S = 1.0
"""So long an answer is used again: what was withdrawn may open the door for another second."""
MOST_HELD = 10_000
USE_IS_KEPT_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Held:
    admission: Admission | None
    until: float


class Admissions:
    """The catalog's verifier of bearer tokens."""

    def __init__(
        self, database: Database, keys: SigningKeys, issuer: Issuer | None, *, has_administrator: bool
    ) -> None:
        self._database = database
        self._keys = keys
        self._issuer = issuer
        self._has_administrator = has_administrator
        self._held: OrderedDict[bytes, _Held] = OrderedDict()

    async def admit(self, bearer: str) -> Admission | None:
        """Answer whom the token lets in."""
        digest, now = hashlib.sha256(bearer.encode()).digest(), time.monotonic()
        held = self._held.get(digest)
        if held is not None and now < held.until:
            return held.admission
        admission = await self._judge(bearer)
        self._held.pop(digest, None)
        self._held[digest] = _Held(admission, now + HELD_S)
        if len(self._held) > MOST_HELD:
            self._held.popitem(last=False)
        return admission

    async def _judge(self, bearer: str) -> Admission | None:
        if bearer.startswith(MARK):
            return await self._by_api_token(bearer)
        claims = await self._keys.read(bearer)
        if claims is not None:
            return await self._by_session(UUID(claims["sid"]), UUID(claims["sub"]))
        return None if self._issuer is None else await self._by_issuer(self._issuer, bearer)

    async def _by_session(self, session_id: UUID, user_id: UUID) -> Admission | None:
        async with self._database.reading() as session:
            user = await sessions.find_user_of_session(session, session_id, datetime.now(UTC))
        if user is None or user.id != user_id or not user.may_enter:
            return None
        # The role as it is now, not as it was when the token was signed.
        return Admission(caller_of(user), Means.SESSION, session_id)

    async def _by_api_token(self, bearer: str) -> Admission | None:
        now = datetime.now(UTC)
        async with self._database.reading() as session:
            token = await api_tokens.find_api_token(session, hash_of(bearer))
            owner = None if token is None else await self._owner(session, token)
        if token is None or owner is None or not token.is_good(now):
            return None
        if token.last_used_at is None or token.last_used_at < now - USE_IS_KEPT_EVERY:
            async with self._database.transaction() as session:
                await api_tokens.mark_used(session, token.id, now, at_most_every=USE_IS_KEPT_EVERY)
        own = Role(token.role)
        role = own if owner.may(own) else owner.role
        return Admission(Caller(f"{owner.name} (token {token.name})", role, owner.id), Means.TOKEN, token.id)

    async def _owner(self, session: AsyncSession, token: ApiToken) -> Caller | None:
        if token.user_id is None:
            # A token goes when its maker does; so do the static administrator's when that is switched off.
            return Caller(ADMINISTRATOR, Role.ADMIN) if self._has_administrator else None
        user = await users.find_user_by_id(session, token.user_id)
        return caller_of(user) if user is not None and user.may_enter else None

    async def _by_issuer(self, issuer: Issuer, bearer: str) -> Admission | None:
        try:
            identity = await issuer.read_bearer(bearer)
        except IssuerMisbehavedError as error:
            log.warning("a token of the issuer can't be verified", error=str(error))
            return None
        if identity is None or identity.role is None:
            return None
        async with self._database.reading() as session:
            user = await users.find_issuers_user(session, identity.issuer, identity.subject)
        if user is not None and not user.may_enter:
            return None
        name = user.name if user is not None else f"{identity.issuer}#{identity.subject}"
        return Admission(Caller(name, Role(identity.role), None if user is None else user.id), Means.ISSUER)
