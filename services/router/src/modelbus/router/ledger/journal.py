"""The journal: entries that are not in the spool yet, in a mapped file, which outlives a process that is killed."""

import mmap
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from struct import Struct
from uuid import UUID

# At 8,000 requests a second, what a second and a slow disk leave unwritten.
_HALF_BYTES = 8 * 1024 * 1024
_HEADER = Struct("=I16s")
_HALVES_BEGIN = 32
_BEFORE = Struct("=II")
"""What goes before an entry: its checksum, and its length."""
_TURNS = 2**32
_NO_MORE = b"\0" * _BEFORE.size


class Journal:
    """A file of two halves: one holds the entries, and those that stay go to the other one when some are written.

    Noting an entry is a copy in memory, no call of the kernel, which keeps the pages when the process is killed. A
    machine that fails may lose it, or some of its pages; what is in the spool it may not. Each checksum goes on from
    the one before, and the first from the number of the turn: what an earlier turn left behind it never fits.
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
            _reserve(descriptor, size)
            self._file = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._turn = -1
        self._end = self._limit = self._checksum = 0
        self.keep([])

    def note(self, text: bytes) -> None:
        """Add an entry; where there is no room for it, it is in memory alone."""
        begin = self._end + _BEFORE.size
        end = begin + len(text)
        if end + _BEFORE.size > self._limit:
            return
        self._file[begin:end] = text
        self._file[end : end + _BEFORE.size] = _NO_MORE
        self._checksum = zlib.crc32(text, self._checksum)
        # Its length last: an entry is there as a whole or not at all.
        _BEFORE.pack_into(self._file, self._end, self._checksum, len(text))
        self._end = end

    def keep(self, texts: Iterable[bytes]) -> None:
        """Hold these entries alone: they are put into the other half, which then is the one that counts."""
        self._turn = self._checksum = (self._turn + 1) % _TURNS
        self._end = _HALVES_BEGIN + self._turn % 2 * self._half_bytes
        self._limit = self._end + self._half_bytes
        self._file[self._end : self._end + _BEFORE.size] = _NO_MORE
        for text in texts:
            self.note(text)
        _HEADER.pack_into(self._file, 0, self._turn, self._run_id.bytes)


def left_in(path: Path) -> tuple[UUID, list[bytes]] | None:
    """Read what a process left there that ended without writing it: its run, and its entries; None if there is nothing.

    Raises:
        OSError: it is there, and can't be read.
    """
    try:
        held = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(held) < _HALVES_BEGIN + 2 * _BEFORE.size:
        return None
    checksum, run_id = _HEADER.unpack_from(held)
    begin = _HALVES_BEGIN + checksum % 2 * ((len(held) - _HALVES_BEGIN) // 2)
    texts: list[bytes] = []
    while begin + _BEFORE.size <= len(held):
        noted, length = _BEFORE.unpack_from(held, begin)
        begin += _BEFORE.size
        text = held[begin : begin + length]
        checksum = zlib.crc32(text, checksum)
        # A machine that lost its power may have kept some pages and not others.
        if not length or checksum != noted:
            break
        texts.append(text)
        begin += length
    return (UUID(bytes=run_id), texts) if texts else None


def _reserve(descriptor: int, size: int) -> None:
    """Take room on the disk: a page that it has none for would end the process when it is touched."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    # As on macOS. Merely making the file longer would take no room.
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(bytes(size))
