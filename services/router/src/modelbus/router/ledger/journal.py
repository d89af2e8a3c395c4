"""The journal: entries that are not in the spool yet, in a mapped file, which outlives a process that is killed."""

import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from struct import Struct
from uuid import UUID

# At 8,000 requests a second, what a second and a slow disk leave unwritten.
_HALF_BYTES = 8 * 1024 * 1024
_HEADER = Struct("=B16s")
_HALVES_BEGIN = 32
_LENGTH = Struct("=I")
_NO_MORE = b"\0" * _LENGTH.size


class Journal:
    """A file of two halves: one holds the entries, and those that stay go to the other one when some are written.

    Noting an entry is a copy in memory, no call of the kernel, which keeps the pages when the process is killed. A
    machine that fails may lose it; what is in the spool it may not.
    """

    def __init__(self, path: Path, run_id: UUID, *, half_bytes: int = _HALF_BYTES) -> None:
        """Begin an empty journal in place of the one that is there.

        Raises:
            OSError: it can't be made, or the disk has no room for it.
        """
        self._half_bytes = half_bytes
        self._run_id = run_id
        size = _HALVES_BEGIN + 2 * half_bytes
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # A page that the disk has no room for would end the process when it is touched.
            os.posix_fallocate(descriptor, 0, size)
            self._file = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._half = 1
        self._end = 0
        self.keep([])

    def note(self, text: bytes) -> None:
        """Add an entry; where there is no room for it, it is in memory alone."""
        begin = self._end + _LENGTH.size
        end = begin + len(text)
        if end + _LENGTH.size > self._limit:
            return
        self._file[begin:end] = text
        self._file[end : end + _LENGTH.size] = _NO_MORE
        # Its length last: an entry is there as a whole or not at all.
        _LENGTH.pack_into(self._file, self._end, len(text))
        self._end = end

    def keep(self, texts: Iterable[bytes]) -> None:
        """Hold these entries alone: they are put into the other half, which then is the one that counts."""
        self._half = 1 - self._half
        self._end = _HALVES_BEGIN + self._half * self._half_bytes
        self._limit = self._end + self._half_bytes
        self._file[self._end : self._end + _LENGTH.size] = _NO_MORE
        for text in texts:
            self.note(text)
        _HEADER.pack_into(self._file, 0, self._half, self._run_id.bytes)


def left_in(path: Path) -> tuple[UUID, list[bytes]] | None:
    """Read what a process left there that ended without writing it: its run, and its entries; None if there is nothing.

    Raises:
        OSError: it is there, and can't be read.
    """
    try:
        held = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(held) < _HALVES_BEGIN + 2 * _LENGTH.size:
        return None
    half, run_id = _HEADER.unpack_from(held)
    begin = _HALVES_BEGIN + (half & 1) * ((len(held) - _HALVES_BEGIN) // 2)
    texts: list[bytes] = []
    while begin + _LENGTH.size <= len(held):
        (length,) = _LENGTH.unpack_from(held, begin)
        text = held[begin + _LENGTH.size : begin + _LENGTH.size + length]
        if not length or len(text) < length:
            break
        texts.append(text)
        begin += _LENGTH.size + length
    return (UUID(bytes=run_id), texts) if texts else None
