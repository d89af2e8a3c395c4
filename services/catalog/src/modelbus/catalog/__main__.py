"""`python -m modelbus.catalog serve|migrate|openapi|reseal|create-admin|export|restore`."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from modelbus.chassis.entry import run, takes_file

if TYPE_CHECKING:
    from modelbus.chassis.database import Database

SHORTEST_PASSPHRASE = 12


def serve() -> None:
    """Serve the catalog."""
    from modelbus.catalog.app import create_app
    from modelbus.catalog.settings import Settings
    from modelbus.chassis import service

    settings = Settings()
    service.start(create_app, settings, name="catalog")


def migrate() -> None:
    """Bring the schema up to date."""
    from modelbus.chassis.migrations import migrate_service

    migrate_service("catalog")


def openapi(file: Path) -> None:
    """Write what OpenAPI says of catalog to a file."""
    from modelbus.catalog.app import create_app
    from modelbus.catalog.settings import Settings
    from modelbus.chassis.documents import write_document

    write_document(create_app, Settings, file)


def reseal() -> None:
    """Seal every secret that is not under the first master key anew; safe while the catalog serves."""
    import asyncio

    from modelbus.catalog.actions import sealing
    from modelbus.catalog.actions.audit import audit_command
    from modelbus.chassis.secrets import Vault
    from modelbus.chassis.settings import MasterKeySettings

    async def work() -> list[sealing.Resealed]:
        vault = Vault(MasterKeySettings().master_keys.get_secret_value())
        database = _database()
        try:
            resealed = await sealing.reseal(database, vault)
            await audit_command(database, "reseal", **{done.what: done.resealed for done in resealed})
            return resealed
        finally:
            await database.close()

    for done in asyncio.run(work()):
        print(f"{done.what}: {done.resealed} of {done.checked} sealed anew, {done.unreadable} that no key opens")


def create_admin(name: str, password_file: Path | None) -> None:
    """Add a user with the role admin; the password comes from a file, or is the first line on standard input."""
    import asyncio
    import getpass

    from modelbus.catalog.actions.passwords import Passwords
    from modelbus.catalog.actions.users import create_user
    from modelbus.catalog.domain.errors import Refusal
    from modelbus.chassis.callers import Caller, Role

    if password_file is not None:
        password = password_file.read_text().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = getpass.getpass()
    else:
        password = sys.stdin.readline().rstrip("\r\n")

    async def work() -> None:
        database = _database()
        fields = {"name": name.strip().lower(), "display_name": None, "role": Role.ADMIN.value, "is_active": True}
        try:
            async with database.transaction(Caller.system("create-admin")) as session:
                session.info["command"] = "create-admin"
                await create_user(session, Passwords(), password, fields)
        except Refusal as refusal:
            raise ValueError(str(refusal)) from refusal
        finally:
            await database.close()

    asyncio.run(work())
    print(f"{name.strip().lower()} can sign in now")


def export(file: Path, passphrase_file: Path | None) -> None:
    """Write the whole configuration to a new file; without a passphrase its secrets stay under the master key."""
    import asyncio
    import os
    from contextlib import ExitStack

    from modelbus.catalog.actions.audit import audit_command
    from modelbus.catalog.actions.export import Exporter, write_export
    from modelbus.catalog.domain.errors import Refusal
    from modelbus.chassis.secrets import Vault
    from modelbus.chassis.settings import MasterKeySettings

    async def work(descriptor: int) -> int:
        exporter = Exporter(Vault(MasterKeySettings().master_keys.get_secret_value()), _passphrase(passphrase_file))
        database = _database()
        try:
            with os.fdopen(descriptor, "wb") as written:
                async with database.reading() as session:
                    await write_export(session, exporter, written)
                await audit_command(database, "export", secrets="passphrase" if exporter.passphrase else "master")
                return written.tell()
        finally:
            await database.close()

    try:
        # Nobody else's to read, and never in place of an earlier one.
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    with ExitStack() as unless_whole:
        unless_whole.callback(file.unlink)
        try:
            size = asyncio.run(work(descriptor))
        except Refusal as refusal:
            raise ValueError(str(refusal)) from refusal
        unless_whole.pop_all()
    print(f"{file} holds the whole configuration, {size} bytes")


def restore(file: Path, passphrase_file: Path | None, *, replace: bool, dry_run: bool) -> None:
    """Put a document that `export` wrote in place of the whole configuration, all of it or nothing."""
    import asyncio

    from modelbus.catalog.actions import restore as actions
    from modelbus.catalog.domain.errors import Refusal
    from modelbus.chassis.callers import Caller
    from modelbus.chassis.secrets import Vault
    from modelbus.chassis.settings import MasterKeySettings

    async def work() -> actions.Report:
        vault = Vault(MasterKeySettings().master_keys.get_secret_value())
        wishes = actions.Wishes(dry_run=dry_run, replace=replace, passphrase=_passphrase(passphrase_file))
        database = _database()
        try:
            with file.open("rb") as document:
                async with database.transaction(Caller.system("restore")) as session:
                    session.info["command"] = "restore"
                    return await actions.restore(session, vault, document, wishes)
        except OSError as error:
            raise ValueError(f"{file}: {error.strerror}") from error
        except Refusal as refusal:
            told = (
                str(refusal).replace("?replace=true", "--replace").replace("X-Modelbus-Passphrase", "--passphrase-file")
            )
            raise ValueError(told) from refusal
        finally:
            await database.close()

    report = asyncio.run(work())
    for table, rows in report.after.items():
        print(f"{table}: {report.before[table]} before, {rows} now")
    print("nothing was changed" if dry_run else f"a new epoch has begun: {report.epoch}")


def _database() -> "Database":
    """Open the catalog's database as the service does: what is changed is kept as a version, and told."""
    from modelbus.catalog.actions import versions
    from modelbus.catalog.store.tables import SCHEMA, outbox
    from modelbus.chassis.database import Database
    from modelbus.chassis.settings import DatabaseSettings

    url = DatabaseSettings().database_url.get_secret_value()
    return Database(url, service=SCHEMA, outbox=outbox, finish=versions.write)


def _passphrase(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        passphrase = file.read_text().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    # As the header takes it, so that either way opens what the other has written.
    if len(passphrase) < SHORTEST_PASSPHRASE or not passphrase.isascii() or not passphrase.isprintable():
        raise ValueError(f"{file}: must hold at least {SHORTEST_PASSPHRASE} printable ASCII characters on one line")
    return passphrase


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    parser.add_argument("--passphrase-file", type=Path, help="a file that holds the passphrase and nothing else")


def _restored(parser: argparse.ArgumentParser) -> None:
    _file(parser)
    parser.add_argument("--replace", action="store_true", help="take away what is configured here")
    parser.add_argument("--dry-run", action="store_true", help="only find out whether it could be restored")


def _admin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="letters, digits and ._@+- ; upper and lower case are the same")
    parser.add_argument("--password-file", type=Path, help="a file that holds the password and nothing else")


if __name__ == "__main__":
    sys.exit(
        run(
            "modelbus-catalog",
            {"create_admin": _admin, "export": _file, "openapi": takes_file, "restore": _restored},
            serve=serve,
            migrate=migrate,
            openapi=openapi,
            reseal=reseal,
            create_admin=create_admin,
            export=export,
            restore=restore,
        )
    )
