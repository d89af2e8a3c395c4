"""Tokens are chance behind a mark; they are shown once, and only their hash is kept."""

import hashlib
import secrets


def mint(mark: str) -> str:
    """Make a token: a mark that tells its kind, also to scanners for leaked secrets, and 256 bits of chance."""
    return mark + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """Answer the SHA-256 of the whole token, lower-case hexadecimal; so much chance needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()
