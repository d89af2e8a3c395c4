"""The last-known-good file: the feed's snapshot on disk, whole or not at all, in two generations.

The first line is the digest of all that follows; the file is written beside its place, synced and renamed.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from modelbus.chassis.logs import logger
from modelbus.chassis.whole_files import write_whole
from modelbus.contracts.feed import Snapshot

SAVE_AFTER_S = 1.0
SAVE_REST = 30
"""Times as long as a save took, before the next one."""

log = logger(__name__)


class Keeper:
    """Saves what a follower holds a moment after it changed, beside the following; without a path it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._unsaved_since: float | None = None
        self._saving: asyncio.Task[None] | None = None
        self._save_after_s = SAVE_AFTER_S
        self.problem: str | None = None
        """Why it could not be saved the last time."""

    def load(self) -> Snapshot | None:
        """Read what was kept."""
        return load(self._path) if self._path else None

    def note_change(self) -> None:
        """Remember that there is something to save."""
        self._unsaved_since = self._unsaved_since or time.monotonic()

    def save_if_due(self, take: Callable[[], Snapshot | None]) -> None:
        """Begin to save, if something changed long enough ago; `take` answers what is held."""
        if self._saving is not None:
            if not self._saving.done():
                return
            self._saving.result()
            self._saving = None
        if self._unsaved_since is not None and time.monotonic() - self._unsaved_since > self._save_after_s:
            self._saving = asyncio.create_task(self._save(take), name="feed-save")

    async def close(self, take: Callable[[], Snapshot | None]) -> None:
        """Save what is not saved yet."""
        if self._saving is not None:
            await self._saving
        await self._save(take)

    async def _save(self, take: Callable[[], Snapshot | None]) -> None:
        if self._path is None or self._unsaved_since is None or (snapshot := take()) is None:
            return
        self._unsaved_since, begun = None, time.monotonic()
        try:
            await asyncio.to_thread(save, self._path, snapshot)
        except OSError as error:
            self.note_change()
            if self.problem is None:
                log.error("last known good can't be saved", file=str(self._path), error=str(error))  # noqa: TRY400
            self.problem = f"the last known good can't be saved, an older one is kept: {error}"
        else:
            self.problem = None
        # Writing a large catalog costs the requests something too: it rests for many times as long as it took.
        self._save_after_s = max(SAVE_AFTER_S, SAVE_REST * (time.monotonic() - begun))


def save(path: Path, snapshot: Snapshot) -> None:
    """Write the snapshot; the previous one stays beside it as `<name>.1`.

    Raises:
        OSError: the disk is full or can't be written; the files are as they were.
    """
    body = msgspec.json.encode(snapshot)
    write_whole(path, hashlib.sha256(body).hexdigest().encode() + b"\n" + body, previous=previous(path))


def load(path: Path) -> Snapshot | None:
    """Read the newest generation that is whole; None if there is none."""
    for candidate in (path, previous(path)):
        try:
            return _read(candidate)
        except FileNotFoundError:
            continue
        except (OSError, ValueError, msgspec.DecodeError) as error:
            log.warning("last known good is damaged", file=str(candidate), error=str(error))
    return None


def previous(path: Path) -> Path:
    """Answer where the generation before is kept."""
    return path.with_name(path.name + ".1")


def _read(path: Path) -> Snapshot:
    digest, _, body = path.read_bytes().partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise ValueError("digest does not match")
    return msgspec.json.decode(body, type=Snapshot)
