"""What only this installation knows: made at the first start, kept in a file that only its owner can read."""

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from modelbus.launcher.errors import LostSecretsError
from modelbus.launcher.files import write_private

ROLES = ("catalog", "sync", "integrity")
"""Services with a schema, and so with a role, of their own."""
BUS_USERS = ("catalog", "sync", "router", "integrity", "operator", "subscriber")
"""Who may enter NATS: the services, who administers it, and who only listens."""


def _token() -> str:
    return secrets.token_urlsafe(32)


def _master_key() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).decode()


@dataclass(frozen=True, slots=True)
class Secrets:
    """Tokens, keys and passwords."""

    admin_token: str = field(default_factory=_token)
    service_token: str = field(default_factory=_token)
    master_key: str = field(default_factory=_master_key)
    """Seals the credentials: without it they can't be read again."""
    postgres_password: str = field(default_factory=_token)
    role_passwords: dict[str, str] = field(default_factory=lambda: {role: _token() for role in ROLES})
    bus_passwords: dict[str, str] = field(default_factory=lambda: {user: _token() for user in BUS_USERS})
    access_key: str | None = None
    """What the seed made; a consumer's way in."""


def save_secrets(path: Path, kept: Secrets) -> None:
    """Write the file."""
    write_private(path, json.dumps(asdict(kept), indent=2) + "\n")


def load_secrets(path: Path, *, has_data: bool) -> Secrets:
    """Read the file, or make it; raises LostSecretsError if there is data that only lost secrets could open."""
    if not path.exists():
        if has_data:
            raise LostSecretsError(path, "the file is missing")
        save_secrets(path, made := Secrets())
        return made
    try:
        kept = json.loads(path.read_text())
        lacking = set(BUS_USERS) - kept.get("bus_passwords", {}).keys()
        # These lock no data: NATS is told anew at every start.
        kept["bus_passwords"] = kept.get("bus_passwords", {}) | {user: _token() for user in sorted(lacking)}
        # A field that is missing must not be made up: what it opened stays closed for ever.
        missing = {each.name for each in fields(Secrets)} - kept.keys() | set(ROLES) - kept["role_passwords"].keys()
        if missing:
            raise LostSecretsError(path, f"it lacks {', '.join(sorted(missing))}")
        found = Secrets(**kept)
        if lacking:
            save_secrets(path, found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LostSecretsError(path, "it is not what was written there") from error
    return found
