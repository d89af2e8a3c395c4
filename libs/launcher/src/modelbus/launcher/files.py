"""Files that others must not read, and logs that must not grow for ever."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LONGEST_LOG = 32 * 1024 * 1024


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A block that writes what takes the file's place in one step when it ends well, readable for us alone.

    Readers see the old content or the new one, after a loss of power too.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        # On a full disk it would keep the last bytes from others.
        unfinished.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Replace the file's text as `replacing` does."""
    with replacing(path) as file:
        file.write(text.encode())


def set_aside(log: Path) -> None:
    """Keep the last run's log as .1, and only that one."""
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.1"))


def trim(log: Path) -> None:
    """Move the text of a log that has grown too long to .1, while its program goes on writing.

    Where there is no room for both, the text is given up: a full disk would stop more than its reader.

    Raises:
        OSError: the text could not be kept, or not even given up.
    """
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LONGEST_LOG:
            set_aside_copy = log.with_name(f"{log.name}.1")
            try:
                write_private(set_aside_copy, log.read_text(errors="replace"))
            finally:
                # Programs append, so the next line goes to the new beginning.
                os.truncate(log, 0)
