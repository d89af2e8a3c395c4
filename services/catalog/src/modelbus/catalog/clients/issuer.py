"""The OpenID Connect issuer through which administrators may sign in."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
from authlib.oauth2.auth import ClientAuth  # type: ignore[import-untyped]
from authlib.oauth2.rfc6749.parameters import (  # type: ignore[import-untyped]
    prepare_grant_uri,
    prepare_token_request,
)
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from modelbus.catalog.domain.identity_errors import IssuerMisbehavedError, IssuerRefusedError
from modelbus.catalog.domain.issuers import Identity, role_of
from modelbus.chassis.carrier import Carrier
from modelbus.chassis.logs import logger

log = logger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
"""Asymmetric ones only: a public key must never pass for a shared secret."""
SCOPE = "openid profile email"
TIMEOUT_S = 10.0
METADATA_HELD_S = 3600.0
KEYS_HELD_S = 3600.0
LOOK_AGAIN_S = 2.0
"""An unknown key makes the issuer's keys be read again, but not more often than that."""
LEEWAY_S = 30
LONGEST_ANSWER = 1024 * 1024
LONGEST_TEXT = 200
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")

UNREADABLE = (JoseError, ValueError, TypeError, AttributeError, RecursionError)
"""What a stranger's token may meet: its parts may be any JSON, a list in place of an object or one without end."""


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """Who the issuer is, who we are to it, and what its word means here."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    redirect_url: str
    role_claim: str
    roles: Mapping[str, str]
    bearer_audience: str | None
    """Where set, its tokens for that audience are bearer tokens here."""


class Issuer:
    """Talks to the issuer, and believes only what it has signed."""

    def __init__(self, settings: IssuerSettings) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(
            transport=Carrier(), timeout=TIMEOUT_S, follow_redirects=False, trust_env=False
        )
        self._metadata: dict[str, Any] = {}
        self._metadata_at = float("-inf")
        self._keys: list[Key] = []
        self._keys_at = float("-inf")
        self._reading = asyncio.Lock()
        # Issuers put header parameters of their own into their tokens; none of them is obeyed.
        self._registry = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)

    async def authorization_url(self, *, state: str, nonce: str, verifier: str) -> str:
        """Answer where to send who wants to sign in.

        Raises:
            IssuerMisbehavedError: its metadata can't be used.
        """
        url: str = prepare_grant_uri(
            (await self._discovered())["authorization_endpoint"],
            client_id=self._settings.client_id,
            response_type="code",
            redirect_uri=self._settings.redirect_url,
            scope=SCOPE,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        return url

    async def identify(self, code: str | None, *, nonce: str, verifier: str) -> Identity:
        """Answer who came back with the code.

        Raises:
            IssuerRefusedError: there is no code, it is not taken, or its ID token is not meant for this sign-in.
            IssuerMisbehavedError: it answers otherwise than it should.
        """
        if code is None:
            raise IssuerRefusedError("the issuer sent no code: it did not sign you in")
        id_token = await self._redeem(code, verifier)
        claims = await self._claims(id_token, self._settings.client_id, nonce=nonce)
        if claims is None or not self._is_meant_for_us(claims):
            raise IssuerRefusedError("the issuer's ID token is not one for this sign-in")
        return self._identity(claims)

    async def read_bearer(self, token: str) -> Identity | None:
        """Answer whom a bearer token of the issuer names; None where it is none, or not for us."""
        audience = self._settings.bearer_audience
        # What does not even claim to be the issuer's must not make us ask it for keys.
        if audience is None or _claimed_issuer(token) != self._settings.issuer:
            return None
        claims = await self._claims(token, audience)
        return None if claims is None else self._identity(claims)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _redeem(self, code: str, verifier: str) -> str:
        metadata, settings = await self._discovered(), self._settings
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=settings.redirect_url, code_verifier=verifier
        )
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        auth = ClientAuth(settings.client_id, settings.client_secret, method if settings.client_secret else "none")
        form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        url, headers, body = auth.prepare("POST", metadata["token_endpoint"], form, body)
        answer = await self._ask("POST", url, content=body, headers=headers)
        if answer.is_client_error:
            log.warning("the issuer does not take a code", status=answer.status_code)
            raise IssuerRefusedError("the issuer does not take the code")
        id_token = _json(answer, "its token endpoint").get("id_token")
        if not isinstance(id_token, str):
            raise IssuerMisbehavedError("the issuer's token endpoint answers without an ID token")
        return id_token

    async def _claims(self, token: str, audience: str, nonce: str | None = None) -> dict[str, Any] | None:
        """Answer what the issuer has signed; None unless it is from this issuer, for the audience, and of now."""
        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss=jwt.ClaimsOption(essential=True, value=self._settings.issuer),
            aud=jwt.ClaimsOption(essential=True, value=audience),
            sub=jwt.ClaimsOption(essential=True),
            exp=jwt.ClaimsOption(essential=True),
        )
        if nonce is not None:
            rules.options["nonce"] = jwt.ClaimsOption(essential=True, value=nonce)
        try:
            key = await self._key(jws.extract_compact(token.encode()).headers().get("kid"))
            if key is None:
                return None
            claims = jwt.decode(token, key, registry=self._registry).claims
            rules.validate(claims)
        except UNREADABLE:
            return None
        return claims

    def _is_meant_for_us(self, claims: Mapping[str, Any]) -> bool:
        # OpenID Connect Core, 3.1.3.7: of several audiences, `azp` says whom the token was made for.
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        party = claims.get("azp")
        return party == self._settings.client_id or (party is None and not several)

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        settings = self._settings
        return Identity(
            issuer=settings.issuer,
            subject=claims["sub"],
            name=_text(claims.get("preferred_username")) or _text(claims.get("email")),
            display_name=_text(claims.get("name")),
            role=role_of(claims, settings.role_claim, settings.roles),
        )

    async def _key(self, key_id: object) -> Key | None:
        for age_s in (KEYS_HELD_S, LOOK_AGAIN_S):
            async with self._reading:
                if time.monotonic() - self._keys_at > age_s:
                    self._keys_at = time.monotonic()
                    address = (await self._discovered())["jwks_uri"]
                    self._keys = _usable(await self._read(address, "its keys"))
            found = [key for key in self._keys if key_id is None or key.kid == key_id]
            if len(found) == 1:
                return found[0]
        return None

    async def _discovered(self) -> dict[str, Any]:
        if time.monotonic() - self._metadata_at > METADATA_HELD_S:
            issuer = self._settings.issuer
            address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            metadata = await self._read(address, "its discovery document")
            if metadata.get("issuer") != issuer:
                raise IssuerMisbehavedError(f"the issuer calls itself {metadata.get('issuer')!r}, not {issuer!r}")
            for name in _NEEDED:
                if urlsplit(str(metadata.get(name))).scheme not in {"https", urlsplit(issuer).scheme}:
                    raise IssuerMisbehavedError(f"the issuer's {name} is no address that can be used")
            self._metadata, self._metadata_at = metadata, time.monotonic()
        return self._metadata

    async def _read(self, address: str, what: str) -> dict[str, Any]:
        return _json(await self._ask("GET", address, headers={"Accept": "application/json"}), what)

    async def _ask(self, method: str, address: str, **request: Any) -> httpx.Response:
        try:
            return await self._client.request(method, address, **request)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.DecodingError) as error:
            raise IssuerMisbehavedError(
                "the issuer names an address, or sends an answer, that can't be read"
            ) from error


def _json(answer: httpx.Response, what: str) -> dict[str, Any]:
    """Answer the object that the issuer sent; nothing of it is told on, as it may hold a secret."""
    try:
        if not answer.is_success or len(answer.content) > LONGEST_ANSWER:
            raise IssuerMisbehavedError(f"the issuer answers {answer.status_code} where {what} should be")
        found = answer.json()
    except ValueError as error:
        raise IssuerMisbehavedError(f"the issuer answers no JSON where {what} should be") from error
    if not isinstance(found, dict):
        raise IssuerMisbehavedError(f"the issuer answers no object where {what} should be")
    return found


def _usable(document: dict[str, Any]) -> list[Key]:
    """Answer the public keys that verify signatures; what can't be read is another's, and left out."""
    keys: list[Key] = []
    for told in document.get("keys", ()):
        if not isinstance(told, dict) or told.get("kty") not in {"RSA", "EC", "OKP"} or told.get("use", "sig") != "sig":
            continue
        try:
            keys.append(JWKRegistry.import_key(told))
        except (JoseError, ValueError, LookupError):
            # A curve that the library does not know is a name that it does not find.
            continue
    return keys


def _claimed_issuer(token: str) -> object:
    try:
        claims = msgspec.json.decode(jws.extract_compact(token.encode()).payload)
    except UNREADABLE:
        return None
    return claims.get("iss") if isinstance(claims, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT else None
