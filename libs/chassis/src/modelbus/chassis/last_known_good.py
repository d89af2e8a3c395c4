"""The last-known-good file: the feed's snapshot on disk, whole or not at all, in two generations.

The first line is the digest of all that follows; the file is written beside its place, synced and renamed.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from modelbus.chassis.logs import logger
from modelbus.contracts.feed import Snapshot

log = logger(__name__)


def save(path: Path, snapshot: Snapshot) -> None:
    """Write the snapshot; the previous one stays beside it as `<name>.1`.

    Raises:
        OSError: the disk is full or can't be written; the files are as they were.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    body = msgspec.json.encode(snapshot)
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("wb") as file:
            # Holds sealed secrets and key hashes: nobody else's to read.
            os.fchmod(file.fileno(), 0o600)
            file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    with suppress(FileNotFoundError):
        path.replace(previous(path))
    fresh.replace(path)


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
