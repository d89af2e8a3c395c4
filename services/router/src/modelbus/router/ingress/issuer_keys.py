"""The keys by which an issuer's tokens are verified: a shared secret, or what the issuer publishes."""

import asyncio
from time import monotonic
from typing import Any, Protocol

import httpx
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, OctKey

from modelbus.chassis.carrier import Carrier
from modelbus.chassis.logs import logger
from modelbus.router.domain.errors import IssuerAwayError

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
SYMMETRIC = ("HS256",)
READ_EVERY_S = 600.0
LOOK_AGAIN_S = 2.0
"""An unknown key makes the issuer's keys be read again, but not more often than that."""
_TIMEOUT_S = 5.0
_LONGEST = 1024 * 1024

log = logger(__name__)


class IssuerKeys(Protocol):
    """Where keys come from, and for which algorithms: a public key must never pass for a secret."""

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Those that a token may name."""

    async def find(self, key_id: object) -> Key | None:
        """Answer the key of that id; where the token names none, the only one."""


class SharedSecret:
    """One secret, known to the issuer and to us."""

    algorithms = SYMMETRIC

    def __init__(self, secret: str) -> None:
        self._key = OctKey.import_key(secret)

    async def find(self, _key_id: object) -> Key | None:
        """Answer the secret, whatever the token calls it."""
        return self._key


class _Published(msgspec.Struct, gc=False):
    keys: list[dict[str, Any]]


class PublishedKeys:
    """The issuer's key set (RFC 7517), read from an address that the operator has set.

    What was read last stays in use while the issuer can't be asked.
    """

    algorithms = ASYMMETRIC

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = httpx.AsyncClient(
            transport=Carrier(), timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False
        )
        self._keys: list[Key] = []
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()

    async def find(self, key_id: object) -> Key | None:
        """Answer the key of that id; one that is not known yet is looked for.

        Raises:
            IssuerAwayError: no key was ever read.
        """
        if found := self._known(key_id):
            return found
        async with self._asking:
            if monotonic() - self._asked_at > LOOK_AGAIN_S:
                await self._ask()
        if not self._keys:
            raise IssuerAwayError("tokens can't be verified now: their issuer's keys could not be read; try again")
        return self._known(key_id)

    async def refresh(self) -> None:
        """Read the keys anew; where that fails, those that are known stay."""
        # Whoever needs a key meanwhile waits for it: the first callers come while the first keys are on their way.
        async with self._asking:
            await self._ask()

    async def _ask(self) -> None:
        self._asked_at = monotonic()
        try:
            self._keys = _usable(await self._read())
        except (httpx.HTTPError, ValueError) as error:
            log.warning("the issuer's keys can't be read", error=repr(error))

    async def _read(self) -> bytes:
        async with self._client.stream("GET", self._url, headers={"Accept": "application/json"}) as answer:
            answer.raise_for_status()
            body = b""
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > _LONGEST:
                    raise ValueError(f"a key set of more than {_LONGEST} bytes")
        return body

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _known(self, key_id: object) -> Key | None:
        found = [key for key in self._keys if key_id is None or key.kid == key_id]
        return found[0] if len(found) == 1 else None


def _usable(body: bytes) -> list[Key]:
    """Answer the public keys that verify signatures; what can't be read is another's, and left out."""
    try:
        published = msgspec.json.decode(body, type=_Published).keys
    except msgspec.DecodeError as error:
        raise ValueError(f"no key set: {error}") from error
    keys: list[Key] = []
    for told in published:
        if told.get("kty") not in {"RSA", "EC", "OKP"} or told.get("use", "sig") != "sig":
            continue
        try:
            keys.append(JWKRegistry.import_key(told))
        except (JoseError, ValueError, LookupError):
            # A curve that the library does not know is a name that it does not find.
            continue
    if not keys:
        raise ValueError("no key that verifies signatures")
    return keys
