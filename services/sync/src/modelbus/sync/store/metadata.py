"""Metadata files in PostgreSQL: of each the last one that could be read, compressed, and how it stands."""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.sync.domain.validators import Validators
from modelbus.sync.store.tables import metadata_files


@dataclass(frozen=True, slots=True)
class FileState:
    """How a file stands; what has not come yet is None."""

    name: str
    location: str
    shape: str | None
    digest: str | None
    """SHA-256 of the last one that could be read."""
    entries: int | None
    left_out: int | None
    etag: str | None
    last_modified: str | None
    changed_at: datetime | None
    """When another one came than the one before."""
    checked_at: datetime | None
    due_at: datetime
    error: str | None
    """Why the last attempt failed; the file that was read before still counts."""

    @property
    def validators(self) -> Validators:
        """Answer what the file can be asked for by."""
        return Validators(self.etag, self.last_modified)


_STATE = [column for column in metadata_files.c if column.name != "body"]


async def lay_files(session: AsyncSession, wanted: Mapping[str, str]) -> None:
    """Know these files, by name and location, and no others; one that is elsewhere now is asked for at once."""
    await session.execute(sa.delete(metadata_files).where(metadata_files.c.name.not_in(list(wanted))))
    if not wanted:
        return
    rows = [{"name": name, "location": location, "due_at": sa.func.now()} for name, location in wanted.items()]
    laid = insert(metadata_files).values(rows)
    moved = {"location": laid.excluded.location, "due_at": sa.func.now(), "etag": None, "last_modified": None}
    is_moved = metadata_files.c.location != laid.excluded.location
    await session.execute(laid.on_conflict_do_update(index_elements=["name"], set_=moved, where=is_moved))


async def list_files(session: AsyncSession) -> list[FileState]:
    """List the files in order of name."""
    found = await session.execute(sa.select(*_STATE).order_by(metadata_files.c.name))
    return [_state(row) for row in found]


async def make_due(session: AsyncSession) -> None:
    """Have every file asked for now."""
    await session.execute(sa.update(metadata_files).values(due_at=sa.func.now()))


async def take_due(session: AsyncSession, hold: timedelta) -> FileState | None:
    """Take a file that is due; it is nobody else's for that long. None where none is."""
    due = (
        sa.select(metadata_files.c.name)
        .where(metadata_files.c.due_at <= sa.func.now())
        .order_by(metadata_files.c.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = sa.update(metadata_files).where(metadata_files.c.name == due).values(due_at=sa.func.now() + hold)
    row = (await session.execute(taken.returning(*_STATE))).one_or_none()
    return None if row is None else _state(row)


async def save_state(session: AsyncSession, state: FileState, body: bytes | None) -> None:
    """Write how a file stands, and the file itself where another one came; unless it is to be elsewhere by now."""
    values = {column.name: getattr(state, column.name) for column in _STATE if column.name != "name"}
    if body is not None:
        values["body"] = zlib.compress(body)
    is_it = (metadata_files.c.name == state.name) & (metadata_files.c.location == state.location)
    await session.execute(sa.update(metadata_files).where(is_it).values(values))


async def digests(session: AsyncSession) -> dict[str, str]:
    """Answer the digest of each file that was read."""
    query = sa.select(metadata_files.c.name, metadata_files.c.digest).where(metadata_files.c.digest.is_not(None))
    return {row.name: row.digest for row in await session.execute(query)}


async def bodies(session: AsyncSession, names: Collection[str]) -> dict[str, bytes]:
    """Answer the files of those names as they came, compressed."""
    query = sa.select(metadata_files.c.name, metadata_files.c.body).where(
        metadata_files.c.name.in_(list(names)), metadata_files.c.body.is_not(None)
    )
    return {row.name: row.body for row in await session.execute(query)}


def _state(row: sa.Row[tuple[object, ...]]) -> FileState:
    return FileState(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
