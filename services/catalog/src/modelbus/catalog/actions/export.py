"""Export: the whole configuration as one document, from one consistent view; its secrets are sealed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.domain.history_errors import SecretNotOpenedError
from modelbus.catalog.store import export as store
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.secrets import Vault, WrongMasterKeyError, new_salt, vault_of

FORMAT = "modelbus-export"
VERSION = 1
PROOF = "modelbus"
"""What is sealed beside the secrets, so that a wrong passphrase is noticed before anything else."""
MASTER, PASSPHRASE = "master", "passphrase"


class Sealing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """By what the secrets of a document are sealed."""

    by: str
    """`master`, or `passphrase`: scrypt makes a Fernet key of it."""
    salt: str = ""
    proof: str


class Document(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration; a row is JSON of its own, so that not all need be read at once."""

    format: str
    version: int
    made_at: datetime
    epoch: UUID
    revision: int
    secrets: Sealing
    tables: dict[str, list[msgspec.Raw]]


@dataclass(frozen=True, slots=True)
class Exporter:
    """What an export is sealed with."""

    vault: Vault
    """The catalog's own."""
    passphrase: str | None = None
    """None leaves the secrets under the master key."""


async def write_export(session: AsyncSession, exporter: Exporter, file: IO[bytes]) -> None:
    """Write the document to the file; `session` reads one consistent view.

    Raises:
        SecretNotOpenedError: a secret is sealed under a master key that is no more.
    """
    sealing, outer = sealed_by(exporter)
    head = await outbox.read_head(session)
    opening = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": datetime.now(UTC),
        "epoch": head.epoch,
        "revision": head.revision,
        "secrets": sealing,
    }
    file.write(msgspec.json.encode(opening)[:-1] + b',"tables":{')
    for number, table in enumerate(store.EXPORTED):
        file.write(b'%s\n"%s":[' % (b"," if number else b"", table.name.encode()))
        reseal = _SECRETS.get(table.name)
        separator = b"\n"
        async for some in store.read_table(session, table):
            rows = (dict(row._mapping) for row in some)  # noqa: SLF001 - SQLAlchemy's public name
            for row in rows:
                if reseal is not None:
                    reseal(row, exporter.vault, outer)
                file.write(separator + msgspec.json.encode(row))
                separator = b",\n"
        file.write(b"]")
    file.write(b"}}\n")


def sealed_by(exporter: Exporter) -> tuple[Sealing, Vault]:
    """Answer what the document says of its secrets, and what seals them."""
    if exporter.passphrase is None:
        return Sealing(by=MASTER, proof=exporter.vault.seal(PROOF)), exporter.vault
    salt = new_salt()
    outer = vault_of(exporter.passphrase, salt)
    return Sealing(by=PASSPHRASE, salt=salt, proof=outer.seal(PROOF)), outer


def _reseal_credential(row: dict[str, Any], own: Vault, outer: Vault) -> None:
    # A deleted credential has no secret any more; one that stays under the master key is not touched.
    if not row["sealed"]:
        return
    try:
        secret = own.open(row["sealed"])
    except WrongMasterKeyError as error:
        raise SecretNotOpenedError(f"credentials: {row['id']} is sealed under a master key that is no more") from error
    if outer is not own:
        row["sealed"] = outer.seal(secret)


def _seal_password(row: dict[str, Any], _own: Vault, outer: Vault) -> None:
    if row["password_hash"] is not None:
        row["password_hash"] = outer.seal(row["password_hash"])


_SECRETS: dict[str, Callable[[dict[str, Any], Vault, Vault], None]] = {
    "credentials": _reseal_credential,
    "users": _seal_password,
}
"""What is sealed for the document; all other tables hold hashes of long random keys, or nothing secret."""
