"""Whether a disk takes more."""

import contextlib
import shutil
from pathlib import Path

ROOM = 16 * 1024 * 1024
"""What must be free before a server that had none is started again: two of the largest events."""
PROBE = 64 * 1024


def has_room(directory: Path) -> bool:
    """Say whether the disk has room, and takes what is written: a quota or a disk that only reads shows no sooner."""
    probe = directory / "room.probe"
    try:
        if shutil.disk_usage(directory).free < ROOM:
            return False
        probe.write_bytes(b"0" * PROBE)
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return True
