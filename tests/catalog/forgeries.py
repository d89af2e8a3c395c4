"""Tokens as a forger writes them, whom no library stops."""

import base64
import hashlib
import hmac
import json
from typing import Any

type Json = dict[str, Any]


def encoded(part: Json) -> str:
    """Answer one part of a token."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def decoded(part: str) -> Json:
    """Read one part of a token."""
    read: Json = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


def headed(header: bytes, claims: bytes = b"{}") -> str:
    """Answer a token of just these bytes, whatever they are."""
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (header, claims, b"x"))


def unsigned(header: Json, claims: Json, algorithm: str = "none") -> str:
    """Answer a token that says of itself that it needs no signature."""
    return f"{encoded({**header, 'alg': algorithm})}.{encoded(claims)}."


def hs256(header: Json, claims: Json, secret: bytes) -> str:
    """Answer a token signed with what the forger takes for the shared secret."""
    signed = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
