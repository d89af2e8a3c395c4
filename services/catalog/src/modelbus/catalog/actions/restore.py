"""Restore: a document takes the place of the whole configuration in one transaction, and a new epoch begins."""

import asyncio
import io
import mmap
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import IO, Any
from uuid import UUID

import asyncpg
import msgspec
import sqlalchemy as sa
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.export import FORMAT, MASTER, PASSPHRASE, VERSION, Document, Sealing
from modelbus.catalog.actions.feed import KINDS, portions
from modelbus.catalog.actions.rehearsal import rehearsed
from modelbus.catalog.actions.versions import By, Which, version_row, write_line
from modelbus.catalog.actions.versions import document as document_of
from modelbus.catalog.domain.history_errors import (
    ExportMalformedError,
    ExportTooNewError,
    NotEmptyError,
    RestoreLocksOutError,
    SecretNotOpenedError,
    WrongPassphraseError,
)
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.prices import Schedule
from modelbus.catalog.domain.things import Thing
from modelbus.catalog.store import export as store
from modelbus.catalog.store import history, listings, prices, things
from modelbus.catalog.store.export import RowMalformedError, RowReader
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import allow_pauses
from modelbus.chassis.outbox import record
from modelbus.chassis.secrets import Vault, WrongMasterKeyError, vault_of
from modelbus.contracts.catalog import CatalogReset

KEPT_AT_ONCE = 2000
FILLED_AT_ONCE = 1000

type _Reader = Callable[[AsyncSession], AsyncIterator[Sequence[Any]]]

_NEVER = (0, None)
_REFUSED_STATES = ("22", "23")
"""PostgreSQL's classes for values that can't be stored, and for constraints that do not hold."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a document is to be restored."""

    dry_run: bool = False
    """Only find out whether it could be."""
    replace: bool = False
    """Although something is configured here, which is taken away."""
    passphrase: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a restore, or would come of it."""

    before: dict[str, int]
    """Rows by table."""
    after: dict[str, int]
    epoch: UUID
    """The new one."""


class _Kind(msgspec.Struct):
    format: str
    version: int


@dataclass(frozen=True, slots=True)
class _Keys:
    own: Vault
    """The catalog's."""
    outer: Vault
    """What opens the document's secrets."""


async def restore(session: AsyncSession, vault: Vault, file: IO[bytes], wishes: Wishes) -> Report:
    """Put the document of the file in place of the whole configuration; ids stay.

    Everything is checked: the document's own form, its secrets, every reference. Whatever is wrong with it, nothing
    was done. Followers find a new epoch and take a snapshot.

    Raises:
        ExportMalformedError: the file is damaged, or something in it can't be meant so; it says where.
        ExportTooNewError: a newer release wrote it.
        WrongPassphraseError: its secrets are sealed with another passphrase, or none was given.
        SecretNotOpenedError: its secrets are sealed under another master key.
        NotEmptyError: something is configured here, and it is not to be replaced.
        RestoreLocksOutError: nobody could administer any more.
    """
    # A view of the file, not a copy; the rows keep it until the last of them is gone.
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if file.seek(0, io.SEEK_END) else b""
    document = await asyncio.to_thread(_read, content)
    outer = await asyncio.to_thread(_open, document.secrets, vault, wishes.passphrase)
    await allow_pauses(session)
    await store.lock_everything(session)
    if not wishes.replace and await store.is_configured(session):
        raise NotEmptyError
    before, had_admin = await store.count_rows(session), await store.has_admin(session)
    async with rehearsed(session, only=wishes.dry_run):
        lived = {kind: await things.living(session, kind) for kind in KINDS}
        applied = await listings.all_applied(session)
        await store.clear(session)
        await _fill(session, document.tables, _Keys(vault, outer))
        # Sync may announce all of them again, and the newest was applied: what is restored now is newer still.
        await listings.note_again(session, applied)
        await _check(session, had_admin=had_admin)
        await _keep_versions(session, lived)
        after = await store.count_rows(session)
        head = await outbox.begin_epoch(session)
        await record(session, CatalogReset(epoch=head.epoch))
    return Report(before, after, head.epoch)


def _read(content: mmap.mmap | bytes) -> Document:
    try:
        # First of what kind it is: a newer version may have fields that are not known here.
        told = msgspec.json.decode(content, type=_Kind)
        if told.format != FORMAT:
            raise ExportMalformedError(f"must be a document of the format {FORMAT!r}")
        if told.version > VERSION:
            raise ExportTooNewError(told.version, VERSION)
        document = msgspec.json.decode(content, type=Document)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExportMalformedError(str(error)) from error
    unknown = document.tables.keys() - {table.name for table in store.EXPORTED}
    if unknown:
        raise ExportMalformedError(f"tables: {', '.join(sorted(unknown))} is not known here")
    return document


def _open(sealing: Sealing, vault: Vault, passphrase: str | None) -> Vault:
    """Answer what opens the document's secrets."""
    wrong: Exception
    if sealing.by == MASTER:
        outer, wrong = vault, SecretNotOpenedError("secrets: the document is sealed under another master key")
    elif sealing.by == PASSPHRASE:
        outer, wrong = vault_of(passphrase or "", sealing.salt), WrongPassphraseError()
    else:
        raise ExportMalformedError(f"secrets.by: must be {MASTER!r} or {PASSPHRASE!r}")
    try:
        outer.open(sealing.proof)
    except WrongMasterKeyError as error:
        raise wrong from error
    return outer


async def _fill(session: AsyncSession, told: dict[str, list[msgspec.Raw]], keys: _Keys) -> None:
    for table in store.EXPORTED:
        links: list[store.Link] = []
        try:
            # Some at a time, so that the service answers others in between.
            for some in batched(_rows(table, told.get(table.name, []), keys, links), FILLED_AT_ONCE):
                await store.fill(session, table, iter(some))
            await store.link(session, table, links)
            await store.check_constraints(session)
        except (DBAPIError, asyncpg.PostgresError) as error:
            raise _refusal(table.name, error) from error


def _rows(table: sa.Table, raws: Sequence[msgspec.Raw], keys: _Keys, links: list[store.Link]) -> Iterator[list[Any]]:
    """Read rows; what of them names rows of the same table, which may come later, is put into `links` instead."""
    reader, unseal, own = RowReader(table), _SECRETS.get(table.name), store.own_references(table)
    for place, raw in enumerate(raws):
        try:
            row = reader.read(raw)
            if unseal is not None:
                unseal(row, keys)
        except RowMalformedError as error:
            raise ExportMalformedError(f"tables.{table.name}.{place}: {error}") from error
        except WrongMasterKeyError as error:
            raise SecretNotOpenedError(f"tables.{table.name}.{place}: its secret can't be opened") from error
        for name in own:
            if row[name] is not None:
                links.append(store.Link(name, row["id"], row[name]))
                row[name] = None
        yield list(row.values())


def _refusal(table: str, error: DBAPIError | asyncpg.PostgresError) -> Exception:
    """Say what PostgreSQL did not take; an outage stays one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    cause = getattr(cause, "__cause__", None) or cause
    if not (getattr(cause, "sqlstate", None) or "").startswith(_REFUSED_STATES):
        return error
    return ExportMalformedError(f"tables.{table}: {getattr(cause, 'detail', None) or cause}")


async def _check(session: AsyncSession, *, had_admin: bool) -> None:
    """See to what no constraint of a table can."""
    dangling = await store.find_dangling_label(session)
    if dangling is not None:
        raise ExportMalformedError(dangling)
    lost = await store.find_cycle(session)
    if lost is not None:
        raise ExportMalformedError(f"tables.categories: {lost} is under itself")
    await _check_tellable(session)
    if had_admin and not await store.has_admin(session):
        raise RestoreLocksOutError


async def _keep_versions(session: AsyncSession, lived: dict[str, dict[UUID, int]]) -> None:
    """Keep a version of everything that is there from now on, and of everything that is gone."""
    await things.outnumber_versions(session)
    lives = {kind: await things.living(session, kind) for kind in KINDS}
    gone = {kind: {key: each for key, each in lived[kind].items() if key not in lives[kind]} for kind in KINDS}
    by = await write_line(session, sum(map(len, lives.values())) + sum(map(len, gone.values())))
    for kind in KINDS:
        await _keep_restored(session, kind, by)
        for some in batched(gone[kind].items(), KEPT_AT_ONCE):
            newest = await history.newest_documents(session, kind, [key for key, _version in some])
            kept = [
                version_row(Which(kind, key, max(newest[key][0], version) + 1), newest[key][1], None, by)
                for key, version in some
                if key in newest
            ]
            await history.insert_versions(session, kept)


async def _keep_restored(session: AsyncSession, kind: str, by: By) -> None:
    async for some in _READ.get(kind, _everything_of(kind))(session):
        newest = await history.newest_documents(session, kind, [thing.id for thing in some])
        kept = [
            version_row(Which(kind, thing.id, thing.version), newest.get(thing.id, _NEVER)[1], document_of(thing), by)
            for thing in some
        ]
        await history.insert_versions(session, kept)


def _everything_of(kind: str) -> _Reader:
    read, _tell = KINDS[kind]
    return lambda session: portions(read(session))


async def _every_schedule(session: AsyncSession) -> AsyncIterator[Sequence[Thing]]:
    """Read all prices of each model and source: those have versions, and what is told of them is one of each."""
    for some in batched(await things.living(session, Schedule.KIND), KEPT_AT_ONCE):
        models = await things.hold_things(session, Model.KIND, some)
        charged = await prices.schedules_of(session, prices.CHARGES, [key for key in some if key in models])
        costing = await prices.schedules_of(session, prices.COSTS, [key for key in some if key not in models])
        yield [*charged.values(), *costing.values()]


async def _check_tellable(session: AsyncSession) -> None:
    """Refuse what the world could not be told: it can't be meant."""
    for kind, (read, tell) in KINDS.items():
        try:
            async for some in portions(read(session)):
                for thing in some:
                    tell(thing)
        except ValueError as error:
            raise ExportMalformedError(f"a {kind} can't be meant so: {_short(error)}") from error


def _short(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _unseal_credential(row: dict[str, Any], keys: _Keys) -> None:
    if not row["sealed"]:
        return
    secret = keys.outer.open(row["sealed"])
    if keys.outer is not keys.own:
        row["sealed"] = keys.own.seal(secret)


def _unseal_password(row: dict[str, Any], keys: _Keys) -> None:
    if row["password_hash"] is not None:
        row["password_hash"] = keys.outer.open(row["password_hash"])


_READ: dict[str, _Reader] = {Schedule.KIND: _every_schedule}
"""How what has versions is read, where that is not what is told."""
_SECRETS: dict[str, Callable[[dict[str, Any], _Keys], None]] = {
    "credentials": _unseal_credential,
    "users": _unseal_password,
}
"""What `export` has sealed, by table."""
