"""Files that others must not read, and logs that must not grow for ever."""

import contextlib
import os
from pathlib import Path

LONGEST_LOG = 32 * 1024 * 1024


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable for us alone; readers see the old text or the new one."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def set_aside(log: Path) -> None:
    """Keep the last run's log as .1, and only that one."""
    with contextlib.suppress(FileNotFoundError):
        log.replace(log.with_name(f"{log.name}.1"))


def trim(log: Path) -> None:
    """Move the text of a log that has grown too long to .1, while its program goes on writing."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LONGEST_LOG:
            set_aside_copy = log.with_name(f"{log.name}.1")
            write_private(set_aside_copy, log.read_text(errors="replace"))
            # Programs append, so the next line goes to the new beginning.
            os.truncate(log, 0)
