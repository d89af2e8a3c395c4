"""The library: metadata files are asked for when they are due, the last good ones kept, and all of them at hand."""

import asyncio
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from modelbus.chassis.database import Database
from modelbus.chassis.logs import logger
from modelbus.sync.clients.metadata_files import MetadataFiles, UnreadableFileError
from modelbus.sync.clients.metadata_shapes import read_metadata
from modelbus.sync.domain.errors import UnusableAnswerError
from modelbus.sync.domain.metadata import Shelf
from modelbus.sync.store import metadata
from modelbus.sync.store.metadata import FileState

TRY_AGAIN = timedelta(minutes=10)
"""After a file could not be had."""

log = logger(__name__)


class Library:
    """What metadata files say; `wanted` names each with its location, the first to be believed first."""

    def __init__(
        self, database: Database, files: MetadataFiles, wanted: Mapping[str, str], *, every: timedelta, hold: timedelta
    ) -> None:
        self._database = database
        self._files = files
        self._wanted = dict(wanted)
        self._every = every
        self._hold = hold
        self._shelves: dict[str, tuple[str, Shelf]] = {}
        self._loading = asyncio.Lock()
        self._tending = asyncio.Lock()
        self._is_laid = False

    async def tend(self) -> None:
        """Ask for the files that are due, each by one replica; to be repeated."""
        async with self._tending:
            if not self._is_laid:
                async with self._database.transaction() as session:
                    await metadata.lay_files(session, self._wanted)
                self._is_laid = True
            while await self._refresh_one():
                pass

    async def refresh(self) -> list[FileState]:
        """Ask for every file now, and answer how they stand; one that another replica asks for just then, as before."""
        async with self._database.transaction() as session:
            await metadata.lay_files(session, self._wanted)
            await metadata.make_due(session)
        await self.tend()
        return await self.states()

    async def states(self) -> list[FileState]:
        """Answer how the files stand, in the order in which they are believed."""
        async with self._database.reading() as session:
            found = {state.name: state for state in await metadata.list_files(session)}
        return [found[name] for name in self._wanted if name in found]

    async def shelves(self) -> list[Shelf]:
        """Answer the files that were read, as any replica read them last, in the order in which they are believed."""
        if not self._wanted:
            return []
        async with self._loading:
            async with self._database.reading() as session:
                digests = await metadata.digests(session)
                stale = [
                    name
                    for name, digest in digests.items()
                    if name in self._wanted and (name not in self._shelves or self._shelves[name][0] != digest)
                ]
                bodies = await metadata.bodies(session, stale) if stale else {}
            for name, body in bodies.items():
                self._shelves[name] = (digests[name], await asyncio.to_thread(_shelve, name, body))
            return [self._shelves[name][1] for name in self._wanted if name in digests and name in self._shelves]

    async def mark(self) -> str:
        """Answer a text that is the same while the files are."""
        if not self._wanted:
            return ""
        async with self._database.reading() as session:
            digests = await metadata.digests(session)
        return ",".join(f"{name}={digests.get(name, '')}" for name in self._wanted)

    async def _refresh_one(self) -> bool:
        async with self._database.transaction() as session:
            taken = await metadata.take_due(session, self._hold)
        if taken is None:
            return False
        now = datetime.now(UTC)
        try:
            state, body = await self._fetch(taken, now)
        except (UnreadableFileError, UnusableAnswerError) as error:
            log.warning("a metadata file can't be had", file=taken.name, reason=str(error))
            retry = min(TRY_AGAIN, self._every)
            state, body = replace(taken, error=str(error), checked_at=now, due_at=now + retry), None
        async with self._database.transaction() as session:
            await metadata.save_state(session, state, body)
        return True

    async def _fetch(self, taken: FileState, now: datetime) -> tuple[FileState, bytes | None]:
        fetched = await self._files.fetch(taken.location, taken.validators)
        state = replace(taken, error=None, checked_at=now, due_at=now + self._every)
        if fetched.body is None:
            return state, None
        read = await asyncio.to_thread(read_metadata, fetched.body)
        digest = hashlib.sha256(fetched.body).hexdigest()
        is_new = digest != taken.digest
        state = replace(
            state,
            shape=read.shape,
            entries=len(read.entries),
            left_out=read.left_out,
            digest=digest,
            etag=fetched.validators.etag,
            last_modified=fetched.validators.last_modified,
            changed_at=now if is_new else taken.changed_at,
        )
        if is_new:
            log.info("a metadata file is read", file=taken.name, shape=read.shape, entries=len(read.entries))
        return state, fetched.body if is_new else None


def _shelve(name: str, body: bytes) -> Shelf:
    return Shelf(name, read_metadata(zlib.decompress(body)).entries)
