"""Following the catalog: snapshot and delta over HTTP, events from core NATS, last-known-good on disk.

The pattern of Kubernetes' list and watch: the bus only makes it quick, the HTTP feed makes it right. A follower
holds every record as its own JSON text; what a service makes of them is told by `on_change`.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
from nats.aio.msg import Msg

from modelbus.chassis.backlog import GAP_S, Backlog
from modelbus.chassis.feed_client import FeedClient, FeedUnusableError, HistoryGoneError
from modelbus.chassis.feed_events import APPLIED_AT_ONCE, BREATH_S, listen
from modelbus.chassis.last_known_good import Keeper
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import pause_s
from modelbus.chassis.memory import growing
from modelbus.chassis.messaging import Bus
from modelbus.chassis.replica import Applied, GapError, Records, Replica, compare_all
from modelbus.chassis.tracing import span
from modelbus.contracts.catalog import CatalogHeartbeat
from modelbus.contracts.envelope import Envelope, MalformedEnvelopeError, read_envelope
from modelbus.contracts.event import read_event
from modelbus.contracts.feed import Change, Snapshot

SILENCE_S = 3.0
AUDIT_S = 60.0
AUDIT_AGAIN_S = 5.0

__all__ = ["Applied", "FeedUnusableError", "Follower", "Records"]

log = logger(__name__)


class Follower:
    """A copy of the catalog's records of some kinds, kept equal to the truth.

    `catalog` is an HTTP client whose base URL and token open the feed. `on_change` is called in the event loop,
    once per batch, with everything that changed in it; it must not block. `prepare` is called in a thread with what a
    snapshot brings, before `on_change` is.
    """

    def __init__(
        self,
        catalog: httpx.AsyncClient,
        bus: Bus,
        *,
        kinds: Iterable[str],
        on_change: Callable[[Applied], None],
        prepare: Callable[[Applied, Snapshot], None] = lambda _applied, _snapshot: None,
        keep: Path | None = None,
    ) -> None:
        self._replica = Replica(frozenset(kinds))
        self._catalog = FeedClient(catalog, self._replica.kinds)
        self._bus = bus
        self._on_change = on_change
        self._prepare = prepare
        self._keeper = Keeper(keep)
        self.is_loaded = False
        self.is_stale = True
        """True while nobody has confirmed that this is the truth: from disk only, or everyone is silent."""
        self.alarms = 0
        """Audits that found a difference at equal revision."""
        self._backlog = Backlog()
        self._is_held = False
        """True while a snapshot is on its way: what is heard meanwhile waits for it."""
        self._wake = asyncio.Event()
        self._heard_at = 0.0
        self._confirmed_at = 0.0
        self._must_ask = True
        self._next_audit = time.monotonic() + AUDIT_S * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load

    @property
    def records(self) -> Records:
        """Answer the records as they are now."""
        return self._replica.records

    @property
    def epoch(self) -> UUID | None:
        """Answer the epoch of the records; None before anything was loaded."""
        return self._replica.epoch

    @property
    def revision(self) -> int:
        """Answer the revision of the records."""
        return self._replica.revision

    @property
    def head(self) -> int:
        """Answer the newest revision that was heard of, applied or not."""
        return self._backlog.head

    @property
    def age_s(self) -> float:
        """Answer the seconds since the records were last known to be the truth."""
        return time.monotonic() - self._confirmed_at if self._confirmed_at else float("inf")

    def digests(self) -> dict[str, str]:
        """Answer the digest of each kind."""
        return self._replica.digests()

    async def problem(self) -> str | None:
        """Answer why nothing can be served from here; stale records are served, and said to be."""
        return None if self.is_loaded else "the catalog was never loaded"

    async def unkept(self) -> str | None:
        """Answer why a restart would find older records on disk; None when what is held is kept, or shall be."""
        return self._keeper.problem

    def load_kept(self) -> bool:
        """Load the last-known-good file, if there is one that is whole; it counts as stale until confirmed.

        One that an older version kept may lack kinds: it is served, and followed by a snapshot instead of a delta.
        """
        snapshot = self._keeper.load()
        if snapshot is None:
            return False
        self._replace(snapshot, *self._read(snapshot))
        log.info("last known good is loaded", revision=self.revision, lacks=sorted(self._replica.lacks))
        return True

    async def run(self) -> None:
        """Follow for ever; whatever fails is tried again, and the records stay as they are meanwhile."""
        # Asking goes on beside applying: an answer that takes long must not delay what the bus tells.
        listening = listen(self._bus, self._heard, lambda: len(self._backlog) >= APPLIED_AT_ONCE, self._ask)
        beside = [asyncio.create_task(listening, name="feed-listen"), asyncio.create_task(self._ask_for_ever())]
        try:
            while True:
                await self._wait()
                self._keeper.save_if_due(self._replica.snapshot)
                for task in beside:
                    if task.done():
                        task.result()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            await self._keeper.close(self._replica.snapshot)

    def _heard(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        try:
            if message.subject == CatalogHeartbeat.type:
                beat = read_event(CatalogHeartbeat, message.data)
                self._note(beat.epoch, beat.revision, is_beat=True)
            else:
                self._buffer(message.subject, read_envelope(message.headers, message.data))
        except (MalformedEnvelopeError, ValueError) as error:
            log.warning("something heard is no event of the catalog", subject=message.subject, error=str(error))

    def _buffer(self, subject: str, envelope: Envelope) -> None:
        if envelope.epoch is None or envelope.revision is None:
            return
        if envelope.epoch == self.epoch and envelope.revision > self.revision:
            change = Change(envelope.revision, subject, envelope.id, msgspec.Raw(envelope.data))
            self._backlog.add(change, envelope.trace_parent)
        self._note(envelope.epoch, envelope.revision)
        self._wake.set()

    def _note(self, epoch: UUID, revision: int, *, is_beat: bool = False) -> None:
        """Compare with what we hold: another epoch, or a truth that went back, can't be mended by waiting."""
        if epoch != self.epoch:
            # Each epoch begins beyond all that was told before: behind us lies what a lost stream is told again.
            if is_beat or revision > self.revision:
                self._ask()
            return
        if revision < self.revision and is_beat:
            # A heartbeat that an event overtook, or a restored database: the answer tells which.
            self._ask()
        elif revision == self.revision and not self._must_ask:
            self._confirm()
        if self._backlog.hear_of(revision, self.revision):
            self._wake.set()

    def _ask(self) -> None:
        self._must_ask = True
        self._wake.set()

    def _confirm(self) -> None:
        self._confirmed_at = time.monotonic()
        self.is_stale = False

    async def _wait(self) -> None:
        """Wait for news and apply them; find out what nobody tells: a gap that does not close, and silence."""
        try:
            async with asyncio.timeout(GAP_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        try:
            self._drain()
        except (GapError, msgspec.DecodeError) as error:
            log.warning("an event can't be applied, the catalog is asked instead", error=str(error))
            self._must_ask = True
        if self._backlog.has_next(self.revision):
            self._wake.set()
            await asyncio.sleep(BREATH_S)
        silent_s = time.monotonic() - max(self._heard_at, self._confirmed_at)
        if self._backlog.is_gap_old or silent_s > SILENCE_S * random.uniform(1.0, 1.5):  # noqa: S311 - spreads load
            self._must_ask = True

    def _drain(self) -> None:
        """Apply what follows without a gap; drop what is known already."""
        if self._is_held or not self.is_loaded:
            return
        if run := self._backlog.take(self.revision, APPLIED_AT_ONCE):
            self._apply(run)
        self._backlog.settle(self.revision)

    async def _ask_for_ever(self) -> None:
        """Ask whenever something is missing, and audit now and then."""
        failures = 0
        while True:
            try:
                if self._must_ask:
                    await self._catch_up()
                elif time.monotonic() >= self._next_audit:
                    await self._audit()
                failures = 0
            except (httpx.HTTPError, FeedUnusableError, GapError, msgspec.DecodeError) as error:
                failures += 1
                if failures == 1:
                    log.warning("catalog can't be asked, its last known state is used", error=repr(error))
                self.is_stale = self._must_ask = True
                await asyncio.sleep(pause_s(failures))
            if not self._must_ask:
                await asyncio.sleep(GAP_S / 2)

    async def _catch_up(self) -> None:
        """Ask for what is missing: the delta, or a snapshot where the delta can't be had."""
        # Cleared before the question: what is noticed while the answer is on its way must be asked again.
        self._must_ask = False
        try:
            while await self._take_delta():
                pass
        except HistoryGoneError:
            await self._take_snapshot()
        self._backlog.close_gap()
        self._confirm()

    async def _take_delta(self) -> bool:
        if self.epoch is None or self._replica.lacks:
            raise HistoryGoneError
        delta = await self._catalog.changes(self.revision, self.epoch)
        if delta.epoch != self.epoch:
            raise HistoryGoneError
        self._backlog.head = max(self.head, delta.revision)
        for first in range(0, len(delta.changes), APPLIED_AT_ONCE):
            # The bus may have told some of them meanwhile.
            part = delta.changes[first : first + APPLIED_AT_ONCE]
            if fresh := [change for change in part if change.revision > self.revision]:
                self._apply(fresh)
            await asyncio.sleep(BREATH_S)
        return bool(delta.changes) and self.revision < delta.revision

    async def _take_snapshot(self) -> None:
        self._is_held = True
        try:
            snapshot = await self._catalog.snapshot()
            # All of a large catalog takes seconds to read; what is served meanwhile is the state before.
            self._replace(snapshot, *await asyncio.to_thread(self._read, snapshot))
        finally:
            self._is_held = False
        self._keeper.note_change()
        log.info("snapshot is loaded", revision=self.revision, epoch=str(self.epoch))

    async def _audit(self) -> None:
        """Compare digests with the truth; a difference at equal revision means that we hold something wrong."""
        head = await self._catalog.head()
        if (head.epoch, head.revision) != (self.epoch, self.revision):
            # Under steady changes the two are seldom met at the same revision: look again soon.
            self._must_ask = head.epoch != self.epoch or head.revision > self.revision
            self._next_audit = time.monotonic() + AUDIT_AGAIN_S
            return
        self._next_audit = time.monotonic() + AUDIT_S * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load
        ours = self.digests()
        wrong = [kind for kind in ours if head.digests.get(kind) != ours[kind]]
        if wrong:
            await self._mend(wrong)

    async def _mend(self, wrong: list[str]) -> None:
        """Take a snapshot, and say what was wrong: what another release only tells in another shape is no fault."""
        revision, held = self.revision, {kind: dict(self.records[kind]) for kind in wrong}
        await self._take_snapshot()
        told = {kind: dict(self.records[kind]) for kind in wrong}
        found = await asyncio.to_thread(compare_all, held, told)
        # What was changed before the snapshot was taken is no difference; each change is of one record.
        if found.reshaped and found.other <= self.revision - revision:
            log.info("records are told in another shape, as by a release ahead or behind", kinds=wrong)
            return
        self.alarms += 1
        log.error("records differ from the truth at equal revision", kinds=wrong, revision=revision)

    def _read(self, snapshot: Snapshot) -> tuple[Replica, Applied]:
        with growing(sum(map(len, snapshot.records.values()))):
            replica = Replica(self._replica.kinds)
            applied = replica.replace(snapshot)
            self._prepare(applied, snapshot)
        return replica, applied

    def _replace(self, snapshot: Snapshot, replica: Replica, applied: Applied) -> None:
        self._backlog.begin_anew(snapshot.revision, is_same_epoch=snapshot.epoch == self.epoch)
        self._replica = replica
        self.is_loaded = True
        self._on_change(applied)

    def _apply(self, changes: list[Change]) -> None:
        causes = self._backlog.take_causes(changes)
        with ExitStack() as opened:
            spans = [opened.enter_context(span("apply changes", parent=cause)) for cause in causes]
            self._take_over(changes)
            for applying in spans:
                applying.set_attribute("modelbus.revision", self.revision)

    def _take_over(self, changes: list[Change]) -> None:
        applied = self._replica.apply(changes)
        self._backlog.head = max(self.head, self.revision)
        if self.head == self.revision and not self._must_ask:
            self._confirm()
        self._keeper.note_change()
        self._on_change(applied)
