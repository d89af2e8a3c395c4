"""What earlier processes spent and have not told: it waits in the spool, and counts from the start."""

import asyncio
from uuid import UUID

import msgspec

from modelbus.chassis.logs import logger
from modelbus.router.ledger.spool import Spool
from modelbus.router.limits.budgets import Spending
from modelbus.router.limits.charges import read_charged
from modelbus.router.limits.counted import Counted
from modelbus.router.limits.purses import Purses

log = logger(__name__)


class Waiting:
    """Sums up the spool once, and knows each batch of it when it comes by the stream."""

    def __init__(self, spool: Spool, *, run_id: UUID) -> None:
        self._spool = spool
        self._run_id = run_id
        self._batches: set[str] | None = None

    async def sum_up(self, spending: Spending, counted: Counted) -> None:
        """Note what waits; nothing happens if that is done."""
        if self._batches is not None:
            return
        try:
            purses, self._batches = await asyncio.to_thread(self._read, counted)
        except OSError as error:
            log.warning("usage that waits to be told can't be read; budgets count it once it is", error=str(error))
            self._batches = set()
            return
        spending.note_waiting(purses)

    def comes(self, batch_id: str) -> bool:
        """Tell whether the batch, which the stream has told of now, was noted."""
        if not self._batches or batch_id not in self._batches:
            return False
        self._batches.remove(batch_id)
        return True

    def _read(self, counted: Counted) -> tuple[Purses, set[str]]:
        purses, batches = Purses(), set[str]()
        for segment in self._spool.waiting():
            for batch in segment:
                try:
                    charged = read_charged(batch.body)
                except msgspec.DecodeError:
                    # Whoever reads the stream says so.
                    continue
                # Killed before it could trim what it had told, a process left what the stream tells no second time.
                if charged.run_id == self._run_id or counted.has(charged.run_id, str(batch.id)):
                    continue
                batches.add(str(batch.id))
                for charge in charged.charges():
                    for payer_id in charge.payers:
                        if payer_id is not None:
                            purses.spend(payer_id, charge.at, charge.amount)
        return purses, batches
