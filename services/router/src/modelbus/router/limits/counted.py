"""Which batches of usage are counted: a router tells some again when the stream that had them is lost."""

from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import UUID

import msgspec

from modelbus.chassis.topology import DUPLICATE_WINDOW_S
from modelbus.router.ledger.told import KEPT_S

# The stream may have had a batch, for as long as it knows repetitions, before its router learnt so and kept it on.
_TURN = timedelta(seconds=KEPT_S + DUPLICATE_WINDOW_S)
_SILENT = timedelta(hours=1)
_UNKNOWN = UUID(int=0)
_DIGEST_BYTES = 8


class Lately(msgspec.Struct):
    """What one process of a router told last: digests of its batches, in two turns."""

    since: datetime
    """When the stream took the first of the newer ones."""
    newer: set[bytes] = msgspec.field(default_factory=set)
    older: set[bytes] = msgspec.field(default_factory=set)


class Counted:
    """Remembers the batches of each process for one turn at least, by the clock of the stream.

    A turn is counted back from the newest of the same process, which may have been cut off for longer than that before
    it told the last ones again. One that was silent for an hour is forgotten when another begins.
    """

    def __init__(self, runs: dict[UUID, Lately] | None = None) -> None:
        self.runs: dict[UUID, Lately] = runs or {}

    def has(self, run_id: UUID | None, batch_id: str) -> bool:
        """Tell whether the batch is counted."""
        lately = self.runs.get(run_id or _UNKNOWN)
        digest = _digest(batch_id)
        return lately is not None and (digest in lately.newer or digest in lately.older)

    def add(self, run_id: UUID | None, batch_id: str, at: datetime) -> None:
        """Note that the batch is counted, which the stream took at that time."""
        lately = self.runs.get(run_id or _UNKNOWN)
        if lately is None:
            self.runs = {known: each for known, each in self.runs.items() if each.since > at - _SILENT}
            lately = self.runs[run_id or _UNKNOWN] = Lately(at)
        if at - lately.since > _TURN:
            lately.since, lately.newer, lately.older = at, set(), lately.newer
        lately.newer.add(_digest(batch_id))


def _digest(batch_id: str) -> bytes:
    # A fifth of the memory of the text: a thousand busy routers tell a million batches in that time.
    return blake2b(batch_id.encode(), digest_size=_DIGEST_BYTES).digest()
