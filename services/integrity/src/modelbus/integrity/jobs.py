"""What is done by the clock: the index is compared with the catalog, skips with findings, what is old is forgotten."""

import asyncio
import random
import time
from datetime import UTC, datetime

from modelbus.chassis.database import Database
from modelbus.chassis.logs import logger
from modelbus.chassis.outbox import KEPT
from modelbus.integrity.actions.index import judge_new_day, load_snapshot, read_standing
from modelbus.integrity.actions.records import FOLLOWED
from modelbus.integrity.actions.skips import judge_skips
from modelbus.integrity.actions.sweeps import is_night_due, lock, look, mend, note_night
from modelbus.integrity.actions.usage import forget_usage
from modelbus.integrity.actions.validations import loaded_head
from modelbus.integrity.clients.catalog import Catalog
from modelbus.integrity.domain.index import Standing, Telling, Verdict, weigh
from modelbus.integrity.domain.sweeps import Sweep
from modelbus.integrity.store.tables import outbox

LOOK_EVERY_S = 60.0
LOOK_AGAIN_S = 5.0
"""After a difference was found that the stream may still explain."""
CATCH_UP_EVERY_S = 5.0
"""At most that often a snapshot is taken because we are behind."""

FORGET_EVERY_S = 600.0
SKIPS_EVERY_S = 5.0
HEARD_WITHIN_S = 2.0
"""What was told longer ago than that and is not known has drifted."""

log = logger(__name__)


async def compare_skips(database: Database) -> None:
    """Open findings of places that routers pass over and nobody has found; to be repeated."""
    async with database.transaction() as session:
        await judge_skips(session)


async def forget(database: Database) -> None:
    """Let go of usage that nobody looks back to, and of what was told long ago; to be repeated."""
    async with database.transaction() as session:
        await forget_usage(session)
        await outbox.forget(session, before=datetime.now(UTC) - KEPT)


class Audit:
    """Keeps the index equal to the catalog where the stream does not.

    The first look, and one because we are behind, loads a snapshot on any difference: the stream may not hold all
    that we have missed, and one snapshot is quicker than hearing thousands of events. What is in the queue is old
    news then.
    """

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog
        self._wanted = asyncio.Event()
        # Counted, not flagged: what is asked for during a look is not answered by it.
        self._catch_ups_asked = 1
        self._catch_ups_made = 0
        self._caught_up_at = float("-inf")
        self._loaded_revision = 0
        self._differed_at: int | None = None
        self._is_loaded = False
        self.alarms = 0
        """Differences that nothing on the stream explained."""

    def look_soon(self) -> None:
        """Look now instead of at the next time."""
        self._wanted.set()

    def catch_up(self, revision: int) -> None:
        """Look soon and load a snapshot: an event of that revision came late."""
        if revision > self._loaded_revision and time.monotonic() - self._caught_up_at > CATCH_UP_EVERY_S:
            self._caught_up_at = time.monotonic()
            self._catch_ups_asked += 1
            self.look_soon()

    async def problem(self) -> str | None:
        """Answer why nothing can be said of references now; a persisted index serves while the catalog is away."""
        return None if self._is_loaded else "the catalog was never loaded"

    async def keep_right(self) -> None:
        """Look, and wait until it is time to look again; to be repeated."""
        await self.look()
        async with self._database.transaction() as session:
            await judge_new_day(session)
        await self.sweep_at_night()
        pause_s = LOOK_EVERY_S if self._differed_at is None else LOOK_AGAIN_S
        try:
            async with asyncio.timeout(pause_s * random.uniform(0.9, 1.1)):  # noqa: S311 - spreads load
                await self._wanted.wait()
        except TimeoutError:
            return
        self._wanted.clear()

    async def look(self) -> None:
        """Compare the index with the catalog once, and load a snapshot if it must be."""
        asked = self._catch_ups_asked
        is_catching_up = asked > self._catch_ups_made
        async with self._database.reading() as session:
            ours = await read_standing(session)
        self._is_loaded = ours.epoch is not None
        # Asked after ours was read, so the catalog can only be behind if its truth went back.
        head = await self._catalog.head()
        theirs = Standing(head.epoch, head.revision, head.digests)
        verdict = weigh(ours, theirs, ours.revision if is_catching_up else self._differed_at)
        if verdict in {Verdict.MEND, Verdict.REPLACE}:
            if verdict is Verdict.MEND and head.epoch == ours.epoch and not is_catching_up:
                self.alarms += 1
                log.error("index differs from the catalog and nothing explains it", revision=ours.revision)
            await self._load(keep_newer=verdict is Verdict.MEND)
        self._differed_at = ours.revision if verdict is Verdict.WAIT else None
        self._catch_ups_made = asked

    async def sweep_at_night(self) -> None:
        """Sweep once a day, at midnight UTC, by whichever replica looks first."""
        async with self._database.transaction() as session:
            await note_night(session, is_first=True)
            is_due = await is_night_due(session)
        if is_due and self._is_loaded:
            await self.sweep(None)

    async def sweep(self, by: str | None) -> Sweep | None:
        """Compare the whole index with the catalog, mend it, and keep what came of it.

        Answers None where another replica has made tonight's sweep meanwhile.

        Raises:
            IndexNotLoadedError: there is no index yet.
        """
        started_at = datetime.now(UTC)
        snapshot = await self._catalog.snapshot(FOLLOWED)
        async with self._database.reading() as session:
            await loaded_head(session)
            suspects = await look(session, snapshot)
        if suspects:
            # What is told on the stream meanwhile was only late.
            await asyncio.sleep(HEARD_WITHIN_S)
            snapshot = await self._catalog.snapshot(FOLLOWED)
        async with self._database.transaction() as session:
            await lock(session)
            if by is None and not await is_night_due(session):
                return None
            if by is None:
                await note_night(session)
            sweep = await mend(session, snapshot, suspects, by, started_at)
        if sweep.drift:
            log.error("index had drifted from the catalog", drift=dict(sweep.drift), revision=sweep.revision)
        return sweep

    async def _load(self, *, keep_newer: bool) -> None:
        snapshot = await self._catalog.snapshot(FOLLOWED)
        async with self._database.transaction() as session:
            told = Telling(snapshot.revision, datetime.now(UTC))
            await load_snapshot(session, snapshot, told, keep_newer=keep_newer)
        self._is_loaded = True
        self._loaded_revision = snapshot.revision
        log.info("index is loaded from the snapshot", revision=snapshot.revision, epoch=str(snapshot.epoch))
