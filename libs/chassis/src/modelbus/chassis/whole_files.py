"""Files that are whole or as they were: written beside their place, synced, and renamed."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, body: bytes, *, previous: Path | None = None) -> None:
    """Replace the file by one that nobody else may read; where `previous` is given, what it was stays there.

    Raises:
        OSError: the disk is full or can't be written; the files are as they were.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            # Holds sealed secrets, hashes of keys, or what was spent: nobody else's to read.
            os.fchmod(file.fileno(), 0o600)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    if previous is not None:
        with suppress(FileNotFoundError):
            path.replace(previous)
    fresh.replace(path)
