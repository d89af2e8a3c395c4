"""What a supplier once answered is read again, to see what it would change now; nothing is written."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from modelbus.chassis.database import Database
from modelbus.sync.actions import reviews
from modelbus.sync.actions.intake import Intake
from modelbus.sync.actions.listings import Arrival
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.clients.replay import unpack
from modelbus.sync.clients.suppliers import Suppliers
from modelbus.sync.domain.errors import FetchFailedError, NotReplayableError
from modelbus.sync.domain.runs import Run
from modelbus.sync.store import raw_listings, runs


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of the answer this time, beside the listing that was applied last."""

    run: Run
    arrival: Arrival
    verdict: reviews.Verdict
    differences: list[reviews.Difference]


class Replays:
    """Replays runs."""

    def __init__(self, database: Database, directory: Directory, suppliers: Suppliers, intake: Intake) -> None:
        self._database = database
        self._directory = directory
        self._suppliers = suppliers
        self._intake = intake

    async def replay_run(self, run_id: UUID) -> Replay:
        """Read what the run's supplier answered by the adapter, the rules and the known prices of now.

        Raises:
            RunNotFoundError, RawListingNotKeptError: there is no such answer.
            NotReplayableError: the supplier is gone, or the answer is no listing.
        """
        async with self._database.reading() as session:
            run = await runs.find_run(session, run_id)
            packed = await raw_listings.read_raw(session, run_id)
        supplier = self._directory.supplier(run.supplier_id)
        if supplier is None:
            raise NotReplayableError(run_id, "the catalog has no such supplier")
        answers = await asyncio.to_thread(unpack, packed)
        try:
            fetched, declared = await self._suppliers.read_again(supplier, answers)
        except FetchFailedError as error:
            raise NotReplayableError(run_id, str(error)) from error
        arrival, verdict = await self._intake.rehearse(run, fetched, declared)
        async with self._database.reading() as session:
            base = await reviews.listing_of(session, verdict.base_run_id)
        found = await asyncio.to_thread(reviews.differences, base, arrival.listing)
        return Replay(run, arrival, verdict, found)
