"""The spool: batches of usage on disk until the bus has acknowledged them; append-only segments, synced per append."""

import fcntl
import os
import re
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelbus.chassis.logs import logger
from modelbus.router.ledger.packing import Batch, batch_of, line_of

_SEGMENT_BYTES = 4 * 1024 * 1024
_NEARLY_FULL = 0.8
_SEGMENT_NAME = re.compile(r"usage-(\d{12})\.spool")

log = logger(__name__)


class SpoolInUseError(RuntimeError):
    """Another process writes there; two would trim one another's batches."""


@dataclass(frozen=True, slots=True)
class Spooled:
    """A batch on disk; trimming with it lets go of everything up to it."""

    batch: Batch
    line: bytes
    """As it is written."""
    segment: int
    end: int


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    size: int
    told: int = 0
    """Everything before this offset was acknowledged."""


class Spool:
    """Append-only files in one directory, at most `most_bytes` together; the oldest go first beyond that.

    Its methods block on the disk: call them in a thread. They may be called from several.
    """

    def __init__(self, directory: Path, *, most_bytes: int) -> None:
        self.directory = directory
        self._most_bytes = most_bytes
        self._segment_bytes = min(_SEGMENT_BYTES, max(1, most_bytes // 8))
        self._lock = threading.Lock()
        self._held: int | None = None
        self._segments: deque[_Segment] = deque()
        self._inherited: _Segment | None = None
        self._active: int | None = None
        self._is_nearly_full = False
        self.dropped_bytes = 0
        """Of usage that nobody had heard, and that had to go for newer."""

    def open(self) -> None:
        """Take the directory over, with whatever an earlier process left there; nothing happens if that is done.

        Raises:
            SpoolInUseError: another process has it.
            OSError: it can't be written.
        """
        if self._held is not None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        held = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(held)
            raise SpoolInUseError(f"another router uses {self.directory}; give each its own state directory") from error
        self._held = held
        for path in sorted(self.directory.iterdir()):
            if match := _SEGMENT_NAME.fullmatch(path.name):
                self._take_over(_Segment(int(match[1]), path, path.stat().st_size))
        self._inherited = self._segments[-1] if self._segments else None

    def close(self) -> None:
        """Let go of the files; what they hold stays."""
        with self._lock:
            self._seal()
            if self._held is not None:
                os.close(self._held)
                self._held = None

    def append(self, batches: Iterable[Batch]) -> None:
        """Write the batches and wait until the disk has them, all or none.

        Raises:
            OSError: the disk is full or broken.
        """
        lines = b"".join(line_of(batch) for batch in batches)
        with self._lock:
            segment = self._segments[-1] if self._active is not None else None
            if segment is None or segment.size + len(lines) > self._segment_bytes:
                segment = self._begin_segment()
            assert self._active is not None  # noqa: S101 - a segment was begun
            try:
                _write_whole(self._active, lines)
                os.fsync(self._active)
            except OSError:
                self._undo(segment, self._active)
                raise
            segment.size += len(lines)
            try:
                self._keep_within_bounds()
            except OSError as error:
                # What is written is written; the next one tries again.
                log.warning("old usage can't be removed from the spool", error=str(error))

    def oldest(self, most: int) -> list[Spooled]:
        """Read the oldest batches that are not trimmed, in order; they are all of one segment."""
        with self._lock:
            for segment in [each for each in self._segments if each.size]:
                found = list(_read(segment, most))
                if found:
                    return found
                # Nothing in it can be read.
                self._trim(segment, segment.size)
        return []

    def inherited(self) -> list[Batch]:
        """Read the batches of the segment that an earlier process wrote last, but for what is trimmed."""
        return [] if self._inherited is None else self._batches_of(self._inherited)

    def waiting(self) -> Iterator[list[Batch]]:
        """Read all batches that are not trimmed, a segment at a time and the oldest first."""
        with self._lock:
            segments = tuple(self._segments)
        for segment in segments:
            yield self._batches_of(segment)

    def trim(self, last: Spooled) -> None:
        """Forget the batches up to this one."""
        with self._lock:
            for segment in self._segments:
                if segment.number == last.segment:
                    self._trim(segment, last.end)
                    return

    def _batches_of(self, segment: _Segment) -> list[Batch]:
        with self._lock:
            if not any(each is segment for each in self._segments):
                return []
            return [each.batch for each in _read(segment, sys.maxsize)]

    def _take_over(self, segment: _Segment) -> None:
        if segment.size:
            self._segments.append(segment)
        else:
            # A process that had told everything ended while this was its active segment. Where it can't be removed
            # its number must not be taken again.
            with suppress(OSError):
                segment.path.unlink()
                return
            self._segments.append(segment)

    def _trim(self, segment: _Segment, end: int) -> None:
        segment.told = max(segment.told, end)
        if segment.told < segment.size:
            return
        if segment is self._segments[-1] and self._active is not None:
            os.ftruncate(self._active, 0)
            segment.size = segment.told = 0
        else:
            # First from the disk: its number must not be taken while the file is there.
            segment.path.unlink(missing_ok=True)
            self._segments.remove(segment)

    def _begin_segment(self) -> _Segment:
        self._seal()
        number = self._segments[-1].number + 1 if self._segments else 1
        path = self.directory / f"usage-{number:012}.spool"
        self._active = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._segments.append(_Segment(number, path, 0))
        self._sync_directory()
        return self._segments[-1]

    def _undo(self, segment: _Segment, active: int) -> None:
        try:
            os.ftruncate(active, segment.size)
        except OSError:
            # Nothing may follow what is half written; its damaged end is skipped when it is read.
            segment.size = os.fstat(active).st_size
            self._seal()

    def _seal(self) -> None:
        if self._active is not None:
            os.close(self._active)
            self._active = None

    def _sync_directory(self) -> None:
        # A file's name is durable only when its directory is.
        directory = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _keep_within_bounds(self) -> None:
        held = sum(segment.size for segment in self._segments)
        is_nearly_full = held > self._most_bytes * _NEARLY_FULL
        if is_nearly_full and not self._is_nearly_full:
            log.warning(
                "the usage spool is nearly full, the bus has been away for long", bytes=held, limit=self._most_bytes
            )
        self._is_nearly_full = is_nearly_full
        while sum(segment.size for segment in self._segments) > self._most_bytes and len(self._segments) > 1:
            oldest = self._segments[0]
            oldest.path.unlink(missing_ok=True)
            self._segments.popleft()
            unheard = oldest.size - oldest.told
            self.dropped_bytes += unheard
            log.error("usage is lost, the spool is full", bytes=unheard, limit=self._most_bytes)


def _write_whole(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _read(segment: _Segment, most: int) -> Iterable[Spooled]:
    with segment.path.open("rb") as file:
        file.seek(segment.told)
        end, found = segment.told, 0
        # A segment never grows while it is read, but bytes beyond `size` are of a write that failed.
        while end < segment.size and found < most:
            line = file.readline()
            if not line:
                return
            end += len(line)
            batch = batch_of(line)
            if batch is None:
                log.warning("a damaged line of the usage spool is skipped", file=segment.path.name)
                continue
            found += 1
            yield Spooled(batch, line, segment.number, end)
