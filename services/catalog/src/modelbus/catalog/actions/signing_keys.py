"""The keys that sign sessions: made, taken over from, verified with, and forgotten when nothing needs them."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from joserfc import jws, jwt
from joserfc.jwk import ECKey
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.clients.issuer import UNREADABLE
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.identity_errors import KeyInUseError
from modelbus.catalog.domain.sessions import Lifetimes
from modelbus.catalog.domain.signing_keys import SigningKey, newest
from modelbus.catalog.store import signing_keys
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault, WrongMasterKeyError

ALGORITHM = "ES256"
"""Asymmetric, and known to every library that other services may verify with."""
CURVE = "P-256"
ISSUER, AUDIENCE = "modelbus-catalog", "modelbus"
TYPE = "at+jwt"
"""RFC 9068."""
LEEWAY_S = 5
"""By so much the clocks of replicas may differ."""
HELD_S = 2.0
"""Another replica's new key signs here after so long at the latest; to verify with, it is looked up at once."""
LOOK_AGAIN_S = 1.0


class SigningKeys:
    """The keys as this replica holds them."""

    def __init__(self, database: Database, vault: Vault, lifetimes: Lifetimes) -> None:
        self._database = database
        self._vault = vault
        self._lifetimes = lifetimes
        self._keys: Sequence[SigningKey] = ()
        self._pairs: dict[UUID, ECKey] = {}
        self._read_at = float("-inf")
        self._rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss=jwt.ClaimsOption(essential=True, value=ISSUER),
            aud=jwt.ClaimsOption(essential=True, value=AUDIENCE),
            sub=jwt.ClaimsOption(essential=True),
            sid=jwt.ClaimsOption(essential=True),
            nbf=jwt.ClaimsOption(essential=True),
            exp=jwt.ClaimsOption(essential=True),
        )

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """Answer the claims as a signed token that is good from now on for the life of access tokens."""
        key, pair = await self._signer()
        now = int(time.time())
        until = now + int(self._lifetimes.access.total_seconds())
        times = {"iat": now, "nbf": now, "exp": until, "iss": ISSUER, "aud": AUDIENCE}
        header = {"alg": ALGORITHM, "kid": str(key.id)}
        return jwt.encode(header, {**claims, **times}, pair, algorithms=[ALGORITHM], default_type=TYPE)

    async def read(self, token: str) -> dict[str, Any] | None:
        """Answer what a token says; None when it is none of ours, or not of now."""
        try:
            header = jws.extract_compact(token.encode()).headers()
            key = await self._find(UUID(str(header.get("kid"))))
            if key is None or header.get("typ") != TYPE:
                return None
            # The algorithm is ours to say, never the token's.
            found = jwt.decode(token, ECKey.import_key(key.public), algorithms=[ALGORITHM])
            self._rules.validate(found.claims)
        except UNREADABLE:
            return None
        return found.claims

    async def public(self) -> list[dict[str, Any]]:
        """Answer the public keys with which tokens may still be verified, the newest first."""
        return [key.public for key in await self._held(no_older_than_s=LOOK_AGAIN_S)]

    async def tend(self) -> None:
        """Let a new key take over where there is none or the newest is old, and forget what nothing needs."""
        now = datetime.now(UTC)
        async with self._database.transaction() as session:
            keys = await signing_keys.lock_signing_keys(session)
            key = newest(keys)
            if key is None or key.created_at < now - self._lifetimes.signing_key or self._pair(key) is None:
                await rotate_signing_key(session, self._vault)
            over = [each.id for each in keys if each.is_over(now, self._lifetimes.access)]
            await signing_keys.delete_signing_keys(session, over)
        self.look_again()

    def look_again(self) -> None:
        """Read the keys anew before they are used next."""
        self._read_at = float("-inf")

    async def _signer(self) -> tuple[SigningKey, ECKey]:
        key = newest(await self._held(no_older_than_s=HELD_S))
        pair = None if key is None else self._pair(key)
        if key is None or pair is None:
            await self.tend()
            key = newest(await self._held(no_older_than_s=HELD_S))
            pair = None if key is None else self._pair(key)
        assert key is not None and pair is not None  # noqa: S101, PT018 - tending has made them
        return key, pair

    async def _find(self, key_id: UUID) -> SigningKey | None:
        for age in (HELD_S, LOOK_AGAIN_S):
            # An unknown key may be another replica's new one; how often that is believed is bounded.
            for key in await self._held(no_older_than_s=age):
                if key.id == key_id:
                    return key
        return None

    async def _held(self, *, no_older_than_s: float) -> Sequence[SigningKey]:
        # Where there is none, the first may be made at any moment, and is shown at once.
        if not self._keys or time.monotonic() - self._read_at > no_older_than_s:
            async with self._database.reading() as session:
                self._keys = await signing_keys.every_signing_key(session)
            self._read_at = time.monotonic()
        now = datetime.now(UTC)
        return [key for key in self._keys if not key.is_over(now, self._lifetimes.access)]

    def _pair(self, key: SigningKey) -> ECKey | None:
        """Answer both halves of a key; None where no master key opens it any more."""
        if key.id not in self._pairs:
            try:
                self._pairs = {key.id: ECKey.import_key(self._vault.open(key.sealed))}
            except WrongMasterKeyError:
                return None
        return self._pairs[key.id]


async def rotate_signing_key(session: AsyncSession, vault: Vault) -> SigningKey:
    """Make a new key that signs from now on; those before it verify until their tokens are over."""
    await signing_keys.lock_signing_keys(session)
    key_id, now = new_id(), datetime.now(UTC)
    pair = ECKey.generate_key(CURVE, {"kid": str(key_id), "use": "sig", "alg": ALGORITHM}, private=True)
    private = pair.as_pem(private=True).decode()
    key = SigningKey(key_id, dict(pair.as_dict(private=False)), vault.seal(private), created_at=now)
    await signing_keys.retire_others(session, key_id, now)
    await signing_keys.insert_signing_key(session, key)
    session.info["detail"] = {"key": str(key_id)}
    return key


async def withdraw_signing_key(session: AsyncSession, key_id: UUID) -> None:
    """Delete a key that has leaked: what it signed is refused from now on.

    Raises:
        NotFoundError: there is no such key.
        KeyInUseError: it is the one that signs.
    """
    key = next((each for each in await signing_keys.lock_signing_keys(session) if each.id == key_id), None)
    if key is None:
        raise NotFoundError("signing key", key_id)
    if key.retired_at is None:
        raise KeyInUseError
    await signing_keys.delete_signing_keys(session, [key_id])
    session.info["detail"] = {"key": str(key_id)}
