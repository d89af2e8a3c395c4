"""Sealing anew: after a new master key came first, every secret is brought under it while the system serves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.telling import credential_record
from modelbus.catalog.store import credentials
from modelbus.catalog.store.sealed import SEALED, Sealed, lock_sealed, save_sealed
from modelbus.catalog.store.tables import credentials as credentials_table
from modelbus.chassis import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.logs import logger
from modelbus.chassis.secrets import Vault, WrongMasterKeyError
from modelbus.contracts.catalog import CredentialChanged

AT_ONCE = 200
"""Secrets that one transaction seals: nobody waits long for a row, and what is done stays done."""

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Resealed:
    """What was done with one kind of secret."""

    what: str
    checked: int = 0
    resealed: int = 0
    """Were not under the first master key, and now are."""
    unreadable: int = 0
    """No master key opens them; they are left as they are."""


async def reseal(database: Database, vault: Vault) -> list[Resealed]:
    """Bring every secret under the first master key, some at a time; done again, it goes on where it stopped."""
    return [await _reseal_column(database, vault, column) for column in SEALED]


async def _reseal_column(database: Database, vault: Vault, column: sa.Column[Any]) -> Resealed:
    done, after = Resealed(what=_name(column)), None
    while True:
        async with database.transaction(Caller.system("reseal")) as session:
            found = await lock_sealed(session, column, after, AT_ONCE)
            done = await _reseal_some(session, vault, column, found, done)
        if len(found) < AT_ONCE:
            return done
        after = found[-1].key


async def _reseal_some(
    session: AsyncSession, vault: Vault, column: sa.Column[Any], found: Sequence[Sealed], before: Resealed
) -> Resealed:
    fresh: list[Sealed] = []
    unreadable = 0
    for each in found:
        if vault.is_newest(each.text):
            continue
        try:
            fresh.append(replace(each, text=vault.reseal(each.text)))
        except WrongMasterKeyError:
            unreadable += 1
            # Without the traceback, and without the secret.
            log.error("no master key opens a secret", what=_name(column), key=str(each.key[0]))  # noqa: TRY400
    await save_sealed(session, column, fresh)
    if column.table is credentials_table:
        await _tell(session, fresh)
    return Resealed(
        what=before.what,
        checked=before.checked + len(found),
        resealed=before.resealed + len(fresh),
        unreadable=before.unreadable + unreadable,
    )


async def _tell(session: AsyncSession, fresh: Sequence[Sealed]) -> None:
    """Give followers the secrets as they are sealed now, before the key that they know is retired."""
    for credential in await credentials.credentials_among(session, [each.key[0] for each in fresh]):
        await outbox.record(session, CredentialChanged.to(credential_record(credential)))


def _name(column: sa.Column[Any]) -> str:
    return f"{column.table.name}.{column.name}"
