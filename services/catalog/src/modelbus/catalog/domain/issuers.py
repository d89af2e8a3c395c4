"""What an issuer says of somebody, and which role that means here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ASCENDING = ("viewer", "editor", "admin")


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody whom an issuer vouches for."""

    issuer: str
    subject: str
    name: str | None
    display_name: str | None
    role: str | None
    """None where nothing that the issuer says means a role."""


def role_of(claims: Mapping[str, Any], path: str, roles: Mapping[str, str]) -> str | None:
    """Answer the highest role that a claim means.

    `path` leads to the claim, with dots between for one within another; its value is one name or a list of them.
    """
    found: Any = claims
    # The whole path first: some issuers name a claim by a URL, which has dots of its own.
    for step in [path] if path in claims else path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    names = found if isinstance(found, list) else [found]
    meant = [roles[name] for name in names if isinstance(name, str) and name in roles]
    return max(meant, key=ASCENDING.index, default=None)
