"""Callers may show a signed token (RFC 7519) in the place of an access key: it names a consumer of the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from time import time
from typing import Any

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError

from modelbus.router.cache.records import TIERS, AccessKey, Consumer
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import KeyRefusedError
from modelbus.router.ingress.issuer_keys import IssuerKeys

_BEGINS = b"eyJ"
"""Of any JSON object in base64url, and of no access key."""
_LONGEST = 16 * 1024
_LEEWAY_S = 30
_HELD_S = 600.0
"""How long a signature is believed without looking again, so that a key which its issuer withdrew ceases to open."""
_MOST_HELD = 20_000


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Whose tokens are taken, and what their claims are called."""

    issuer: str
    audience: str
    consumer_claim: str
    tier_claim: str | None = None
    """Where set, tokens may say that less than the consumer's tier is meant."""
    scopes_claim: str | None = None
    """Where set, tokens may name the scopes that are meant, in a list or with blanks between."""


class _Verified(msgspec.Struct, frozen=True, gc=False):
    """What a token has said, and until when that is believed."""

    consumer: str
    until: float
    tier: str | None
    scopes: tuple[str, ...] | None


class Tokens:
    """Verifies each token once; afterwards its hash is enough."""

    def __init__(self, rules: TokenRules, keys: IssuerKeys) -> None:
        self._rules = rules
        self._keys = keys
        # Issuers put header parameters of their own into their tokens; none of them is obeyed.
        self._registry = jws.JWSRegistry(algorithms=list(keys.algorithms), strict_check_header=False)
        self._claims = jwt.JWTClaimsRegistry(
            now=_now,
            leeway=_LEEWAY_S,
            iss=jwt.ClaimsOption(essential=True, value=rules.issuer),
            aud=jwt.ClaimsOption(essential=True, value=rules.audience),
            exp=jwt.ClaimsOption(essential=True),
        )
        self._held: dict[bytes, _Verified] = {}

    async def admit(self, table: Table, token: bytes) -> AccessKey:
        """Answer what the consumer that the token names may do.

        Raises:
            KeyRefusedError: the token is not one of the issuer for us and of now, or names nobody who may call.
            IssuerAwayError: its signature can't be verified now.
        """
        digest = sha256(token).digest()
        verified = self._held.get(digest)
        if verified is None or verified.until <= time():
            self._held.pop(digest, None)
            verified = await self._verify(token)
            self._hold(digest, verified)
        return _admitted(table, verified)

    async def _verify(self, token: bytes) -> _Verified:
        if len(token) > _LONGEST:
            raise KeyRefusedError(f"a token may have at most {_LONGEST} bytes")
        try:
            key = await self._keys.find(jws.extract_compact(token).headers().get("kid"))
            if key is None:
                raise KeyRefusedError("the token is signed by a key that its issuer does not publish")
            claims = jwt.decode(token, key, registry=self._registry).claims
            self._claims.validate(claims)
            until = min(float(claims["exp"]) + _LEEWAY_S, time() + _HELD_S)
        except (JoseError, ValueError, TypeError) as error:
            # Why is told by a word of the library's, never by what the token holds.
            reason = getattr(error, "error", None) or "it can't be read"
            raise KeyRefusedError(f"this token is refused: {reason}") from error
        return _Verified(self._consumer(claims), until, self._tier(claims), self._scopes(claims))

    def _consumer(self, claims: Mapping[str, Any]) -> str:
        named = claims.get(self._rules.consumer_claim)
        if not isinstance(named, str) or not named:
            raise KeyRefusedError(f"the token names no consumer: its claim {self._rules.consumer_claim!r} is no text")
        return named

    def _tier(self, claims: Mapping[str, Any]) -> str | None:
        told = claims.get(self._rules.tier_claim or "")
        if told is not None and told not in TIERS:
            raise KeyRefusedError(f"the token's claim {self._rules.tier_claim!r} must be one of {', '.join(TIERS)}")
        return told

    def _scopes(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        told = claims.get(self._rules.scopes_claim or "")
        if told is None:
            return None
        names = told.split() if isinstance(told, str) else told
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise KeyRefusedError(f"the token's claim {self._rules.scopes_claim!r} must be a list of names")
        return tuple(names)

    def _hold(self, digest: bytes, verified: _Verified) -> None:
        if len(self._held) >= _MOST_HELD:
            del self._held[next(iter(self._held))]
        self._held[digest] = verified


def token_of(shown: bytes) -> bytes | None:
    """Answer what is shown if it is meant as a token."""
    return shown if shown.startswith(_BEGINS) and shown.count(b".") == 2 else None  # noqa: PLR2004 - header, claims, signature


def _now() -> int:
    return int(time())


def _admitted(table: Table, verified: _Verified) -> AccessKey:
    consumer = _found(table, verified.consumer)
    if consumer is None or not consumer.is_active:
        raise KeyRefusedError("the token names a consumer that is not known, or disabled")
    scope_ids = None
    if verified.scopes is not None:
        scope_ids = frozenset(scope.id for name in verified.scopes for scope in table.scopes.found("name", name))
    return AccessKey.of_token(consumer, scope_ids, verified.tier).within(consumer)


def _found(table: Table, named: str) -> Consumer | None:
    return next(iter(table.consumers.found("name", named)), None)
