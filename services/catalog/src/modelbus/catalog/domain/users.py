"""A user is somebody who administers, by a password of ours or through the issuer."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modelbus.catalog.domain.identity_errors import PasswordRefusedError, UserNameRefusedError

NAME_PATTERN = r"[a-z0-9][a-z0-9._@+-]{0,99}"
SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 256
FEWEST_CHARACTERS = 5
"""Different ones, in a password; and of a name that it must not hold."""
RESERVED_NAMES = frozenset({"administrator", "service", "catalog", "system", "sync", "router", "integrity"})


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who administers."""

    KIND: ClassVar[str] = "user"
    UNVERSIONED: ClassVar[frozenset[str]] = frozenset({"password_hash"})

    id: UUID
    name: str
    """In lower case; nobody else's while the user lives."""
    display_name: str | None
    role: str
    is_active: bool
    password_hash: str | None
    """None for who signs in through the issuer."""
    issuer: str | None
    subject: str | None
    """Who the user is to the issuer."""
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    version: int = 1

    @property
    def may_enter(self) -> bool:
        """Tell whether the user may do anything at all."""
        return self.is_active and self.deleted_at is None


def check_name(name: str) -> None:
    """Refuse a name that can't be typed everywhere, or would be taken for somebody else's.

    Raises:
        UserNameRefusedError: it says what would be right.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise UserNameRefusedError("must be up to 100 letters, digits and ._@+- and begin with a letter or digit")
    if name in RESERVED_NAMES:
        raise UserNameRefusedError("must not be what the audit log calls a caller that is no user")


def check_password(name: str, password: str) -> None:
    """Refuse what is guessed first: length counts for more than kinds of characters (NIST SP 800-63B).

    Raises:
        PasswordRefusedError: it says what would be right.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordRefusedError(f"must have at least {SHORTEST_PASSWORD} characters")
    if len(password) > LONGEST_PASSWORD:
        raise PasswordRefusedError(f"must have at most {LONGEST_PASSWORD} characters")
    if len(name) >= FEWEST_CHARACTERS and name in password.lower():
        raise PasswordRefusedError("must not hold the user's name")
    if len(set(password)) < FEWEST_CHARACTERS:
        raise PasswordRefusedError(f"must have at least {FEWEST_CHARACTERS} different characters")


def normal(password: str) -> str:
    """Answer the password as it is compared: one keyboard composes an accent that another sends apart."""
    return unicodedata.normalize("NFKC", password)
