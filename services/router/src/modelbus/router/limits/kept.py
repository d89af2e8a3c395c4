"""The file of sums: what was spent, and up to where the stream of usage is in it."""

from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from modelbus.chassis.logs import logger
from modelbus.router.limits.counted import Lately
from modelbus.router.limits.purses import Purse

log = logger(__name__)


class Kept(msgspec.Struct):
    """The sums, and up to where the stream is in them."""

    stream: datetime
    """When the stream was made: the numbering of another one is another."""
    read_to: int
    purses: dict[UUID, Purse]
    runs: dict[UUID, Lately] = {}
    """The batches counted last, by the process that told them; it may tell them again."""


def read_kept(path: Path) -> Kept | None:
    """Read the file; None if there is none, or it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, msgspec.DecodeError) as error:
        log.warning("what was kept of spending can't be read", file=str(path), error=str(error))
        return None
