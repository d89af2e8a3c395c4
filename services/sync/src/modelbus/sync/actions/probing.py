"""The prober looks at whose turn it is, and tells the world what is seen."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.database import Database
from modelbus.chassis.logs import logger
from modelbus.chassis.observing import Tell
from modelbus.contracts.health import SourceHealthChanged
from modelbus.contracts.records import SupplierRecord
from modelbus.contracts.usage import UsageRecorded
from modelbus.sync.actions import probes, token_probes
from modelbus.sync.actions.probes import Rhythm, Turn
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.clients.probing import Glancing
from modelbus.sync.clients.suppliers import OpenCredential
from modelbus.sync.clients.token_asking import TokenAsking
from modelbus.sync.domain.errors import CredentialRefusedError, FetchFailedError
from modelbus.sync.domain.probes import Seen, Watch

OBSERVER = "sync"
AT_ONCE = 16
FOLLOW_AGAIN_S = 60.0
REPEAT = timedelta(seconds=60)
"""What is seen is told again so often: a hearer forgets what nobody repeats, and may have missed it."""

log = logger(__name__)


class Prober:
    """Looks at suppliers on this replica's turns, or when asked."""

    def __init__(
        self, database: Database, directory: Directory, glancing: Glancing, asking: TokenAsking, rhythm: Rhythm
    ) -> None:
        self._database = database
        self._directory = directory
        self._glancing = glancing
        self._asking = asking
        self._rhythm = rhythm
        self._watched: Mapping[UUID, tuple[str, bool]] | None = None
        self._follows_again_at = 0.0

    async def look_around(self) -> None:
        """Look at all whose turn it is; to be repeated."""
        if not self._directory.is_loaded:
            return
        await self._follow_directory()
        async with self._database.transaction() as session:
            turns = await probes.take_turns(session, self._rhythm, limit=AT_ONCE)
        await asyncio.gather(*(self._take(turn) for turn in turns))

    async def look_at(self, supplier_id: UUID, *, with_tokens: bool) -> Watch:
        """Look at the supplier now, and answer how it is seen after that.

        Raises:
            NotProbedError: nobody looks at it.
            TokenProbeNotFoundError, BudgetSpentError: it can't be asked for a token.
        """
        async with self._database.transaction() as session:
            turn = await probes.take_turn(session, supplier_id, with_tokens=with_tokens)
        await self._take(turn)
        async with self._database.reading() as session:
            return await probes.get_watch(session, supplier_id)

    async def tell(self, tell: Tell[SourceHealthChanged]) -> None:
        """Tell what has changed, and from time to time all that is seen; to be repeated."""
        # From before it is read: telling may take long, and what was seen is no newer for that.
        read_at = datetime.now(UTC)
        async with self._database.reading() as session:
            untold = await probes.list_untold(session, REPEAT)
        for watch in untold:
            await tell(_event(watch, read_at))
            async with self._database.transaction() as session:
                await probes.note_told(session, watch)

    async def hear_traffic(self, session: AsyncSession, usage: Iterable[UsageRecorded]) -> None:
        """Take in how routers fared."""
        await probes.note_traffic(session, usage, self._rhythm)

    async def _follow_directory(self) -> None:
        """Look at the active suppliers that can be asked.

        Said again from time to time: a replica that knew less of the catalog may have said otherwise.
        """
        everybody = self._directory.suppliers() if self._rhythm.interval else ()
        wanted = {each.id: each for each in everybody if self._directory.why_not_askable(each.id) is None}
        watched = {key: (each.base_url, each.is_local) for key, each in wanted.items()}
        if watched == self._watched and monotonic() < self._follows_again_at:
            return
        async with self._database.transaction() as session:
            await probes.watch_suppliers(session, wanted)
        self._watched, self._follows_again_at = watched, monotonic() + FOLLOW_AGAIN_S

    async def _take(self, turn: Turn) -> None:
        try:
            supplier, credentials = self._directory.askable(turn.supplier_id)
        except FetchFailedError:
            return  # It has just been disabled, or lost its last credential: nobody is to look any more.
        seen = await self._look(supplier, credentials[0] if credentials else None, turn)
        if not seen.is_ok:
            log.warning("a supplier does not answer", supplier=supplier.name, way=seen.way, reason=seen.reason)
        async with self._database.transaction() as session:
            await probes.note_look(session, turn, seen, self._rhythm)

    async def _look(self, supplier: SupplierRecord, credential: OpenCredential | None, turn: Turn) -> Seen:
        if turn.token_probe is None:
            return await self._glancing.glance(supplier, credential)
        try:
            asked = await self._asking.ask(supplier, credential, turn.token_probe)
        except CredentialRefusedError:
            return await self._glancing.glance(supplier, credential)
        if asked.calls > 1:
            async with self._database.transaction() as session:
                await token_probes.note_calls(session, turn.token_probe, asked.calls)
        return asked.seen


def _event(watch: Watch, read_at: datetime) -> SourceHealthChanged:
    return SourceHealthChanged(
        observer=OBSERVER,
        supplier_id=watch.supplier_id,
        health=watch.health,
        since=watch.since,
        observed_at=read_at,
        reason=watch.reason,
    )
