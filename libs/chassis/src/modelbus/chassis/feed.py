"""Following the catalog: snapshot and delta over HTTP, events from core NATS, last-known-good on disk.

The pattern of Kubernetes' list and watch: the bus only makes it quick, the HTTP feed makes it right. A follower
holds every record as its own JSON text; what a service makes of them is told by `on_change`.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
from nats.aio.msg import Msg

from modelbus.chassis import last_known_good
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import pause_s
from modelbus.chassis.messaging import Bus
from modelbus.chassis.replica import Applied, GapError, Records, Replica
from modelbus.contracts.bus import CATALOG
from modelbus.contracts.catalog import CatalogHeartbeat
from modelbus.contracts.envelope import MalformedEnvelopeError, read_envelope
from modelbus.contracts.event import read_event
from modelbus.contracts.feed import Change, Changes, Head, Snapshot

SILENCE_S = 3.0
GAP_S = 0.1
POLL_S = (2.0, 15.0)
AUDIT_S = 60.0
SAVE_AFTER_S = 1.0
SAVE_REST = 30
"""Times as long as a save took, before the next one."""

__all__ = ["Applied", "FeedUnusableError", "Follower", "Records"]

log = logger(__name__)


class FeedUnusableError(Exception):
    """The catalog answered something that is no feed."""


class Follower:
    """A copy of the catalog's records of some kinds, kept equal to the truth.

    `catalog` is an HTTP client whose base URL and token open the feed. `on_change` is called in the event loop,
    once per batch, with everything that changed in it; it must not block.
    """

    def __init__(
        self,
        catalog: httpx.AsyncClient,
        bus: Bus,
        *,
        kinds: Iterable[str],
        on_change: Callable[[Applied], None],
        keep: Path | None = None,
    ) -> None:
        self._catalog = catalog
        self._bus = bus
        self._on_change = on_change
        self._keep = keep
        self._replica = Replica(frozenset(kinds))
        self.head = 0
        """The newest revision that was heard of, applied or not."""
        self.is_loaded = False
        self.is_stale = True
        """True while nobody has confirmed that this is the truth: from disk only, or everyone is silent."""
        self.alarms = 0
        """Audits that found a difference at equal revision."""
        self._pending: dict[int, Change] = {}
        self._wake = asyncio.Event()
        self._heard_at = 0.0
        self._confirmed_at = 0.0
        self._gap_since: float | None = None
        self._must_ask = True
        self._unsaved_since: float | None = None
        self._saving: asyncio.Task[None] | None = None
        self._save_after_s = SAVE_AFTER_S

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
    def age_s(self) -> float:
        """Answer the seconds since the records were last known to be the truth."""
        return time.monotonic() - self._confirmed_at if self._confirmed_at else float("inf")

    async def problem(self) -> str | None:
        """Answer why nothing can be served from here; stale records are served, and said to be."""
        return None if self.is_loaded else "the catalog was never loaded"

    def load_kept(self) -> bool:
        """Load the last-known-good file, if there is one that is whole; it counts as stale until confirmed."""
        snapshot = last_known_good.load(self._keep) if self._keep else None
        if snapshot is None:
            return False
        self._replace(snapshot)
        log.info("last known good is loaded", revision=self.revision)
        return True

    async def run(self) -> None:
        """Follow for ever; whatever fails is tried again, and the records stay as they are meanwhile."""
        listening = asyncio.create_task(self._listen(), name="feed-listen")
        failures = 0
        next_audit = time.monotonic() + AUDIT_S * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
        try:
            while True:
                try:
                    if self._must_ask:
                        await self._catch_up()
                    elif time.monotonic() >= next_audit:
                        next_audit = time.monotonic() + AUDIT_S * random.uniform(0.9, 1.1)  # noqa: S311
                        await self._audit()
                    failures = 0
                    await self._wait()
                except (httpx.HTTPError, FeedUnusableError, GapError, msgspec.DecodeError) as error:
                    failures += 1
                    if failures == 1:
                        log.warning("catalog can't be asked, its last known state is used", error=repr(error))
                    self.is_stale = True
                    await asyncio.sleep(pause_s(failures))
                if listening.done():
                    listening.result()
                self._drain()
                self._save_if_due()
        finally:
            listening.cancel()
            if self._saving is not None:
                await self._saving
            await self._save()

    async def _listen(self) -> None:
        """Subscribe to every event of the catalog; the callbacks only take notes."""
        client = await self._bus.connected()
        for subject in (*CATALOG.subjects, CatalogHeartbeat.type):
            await client.subscribe(subject, cb=self._heard)
        # What was told before the subscription stood is asked for now.
        await client.flush()
        self._must_ask = True
        self._wake.set()
        reconnects = self._bus.reconnects
        while True:
            await asyncio.sleep(0.5)
            if self._bus.reconnects != reconnects:
                reconnects, self._must_ask = self._bus.reconnects, True
                self._wake.set()

    async def _heard(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        if message.subject == CatalogHeartbeat.type:
            beat = read_event(CatalogHeartbeat, message.data)
            self._note(beat.epoch, beat.revision)
            return
        try:
            envelope = read_envelope(message.headers, message.data)
        except MalformedEnvelopeError as error:
            log.warning("something heard is no event of the catalog", subject=message.subject, error=str(error))
            return
        if envelope.epoch is None or envelope.revision is None:
            return
        if envelope.revision > self.revision:
            body = msgspec.Raw(envelope.data)
            self._pending[envelope.revision] = Change(envelope.revision, message.subject, envelope.id, body)
        self._note(envelope.epoch, envelope.revision)
        self._wake.set()

    def _note(self, epoch: UUID, revision: int) -> None:
        if epoch != self.epoch:
            self._must_ask = True
        elif revision == self.revision and not self._must_ask:
            self._confirm()
        self.head = max(self.head, revision)
        if self.head > self.revision and self._gap_since is None:
            self._gap_since = time.monotonic()
            self._wake.set()

    def _confirm(self) -> None:
        self._confirmed_at = time.monotonic()
        self.is_stale = False

    async def _wait(self) -> None:
        """Wait for news; find out what nobody tells: a gap that does not close, and silence."""
        timeout = GAP_S if self._gap_since is not None else 1.0
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
        self._drain()
        now = time.monotonic()
        if self._gap_since is not None and now - self._gap_since > GAP_S:
            self._must_ask = True
        silent_for = now - max(self._heard_at, self._confirmed_at)
        if silent_for > SILENCE_S * random.uniform(1.0, 1.5):  # noqa: S311 - spreads load
            self._must_ask = True

    def _drain(self) -> None:
        """Apply what follows without a gap; drop what is known already."""
        run: list[Change] = []
        revision = self.revision
        while (change := self._pending.pop(revision + 1, None)) is not None:
            run.append(change)
            revision += 1
        if run and self.is_loaded:
            self._apply(run)
        if len(self._pending) > 0 and revision >= max(self._pending):
            self._pending.clear()
        self._gap_since = None if self.head <= self.revision else self._gap_since or time.monotonic()

    async def _catch_up(self) -> None:
        """Ask for what is missing: the delta, or a snapshot where the delta can't be had."""
        if self.epoch is None or not self.is_loaded:
            await self._take_snapshot()
        else:
            while await self._take_delta():
                pass
        self._must_ask = False
        self._gap_since = None
        self._confirm()

    async def _take_delta(self) -> bool:
        answer = await self._catalog.get("/api/v1/changes", params={"after": self.revision, "epoch": str(self.epoch)})
        if answer.status_code == httpx.codes.GONE:
            await self._take_snapshot()
            return False
        delta = msgspec.json.decode(_usable(answer), type=Changes)
        if delta.changes:
            self._apply(delta.changes)
        self.head = max(self.head, delta.revision)
        return bool(delta.changes) and self.revision < delta.revision

    async def _take_snapshot(self) -> None:
        answer = await self._catalog.get("/api/v1/snapshot", params={"kinds": ",".join(sorted(self._replica.kinds))})
        snapshot = msgspec.json.decode(_usable(answer), type=Snapshot)
        self._replace(snapshot)
        self._confirm()
        self._unsaved_since = self._unsaved_since or time.monotonic()
        log.info("snapshot is loaded", revision=self.revision, epoch=str(self.epoch))

    async def _audit(self) -> None:
        """Compare digests with the truth; a difference at equal revision means that we hold something wrong."""
        head = msgspec.json.decode(_usable(await self._catalog.get("/api/v1/head")), type=Head)
        if (head.epoch, head.revision) != (self.epoch, self.revision):
            self._must_ask = True
            return
        ours = self.digests()
        wrong = [kind for kind in ours if head.digests.get(kind) != ours[kind]]
        if wrong:
            self.alarms += 1
            log.error("records differ from the truth at equal revision", kinds=wrong, revision=self.revision)
            await self._take_snapshot()

    def digests(self) -> dict[str, str]:
        """Answer the digest of each kind."""
        return self._replica.digests()

    def _replace(self, snapshot: Snapshot) -> None:
        # What was heard in another epoch bears numbers that mean something else now.
        is_same_epoch = snapshot.epoch == self.epoch
        applied = self._replica.replace(snapshot)
        self.head = snapshot.revision
        self._pending = {r: each for r, each in self._pending.items() if is_same_epoch and r > snapshot.revision}
        self._gap_since = None
        self.is_loaded = True
        self._on_change(applied)

    def _apply(self, changes: list[Change]) -> None:
        applied = self._replica.apply(changes)
        self.head = max(self.head, self.revision)
        if self.head == self.revision:
            self._confirm()
        self._unsaved_since = self._unsaved_since or time.monotonic()
        self._on_change(applied)

    def _save_if_due(self) -> None:
        """Save beside the following: a large catalog takes long to write, and changes must not wait for that."""
        if self._saving is not None:
            if not self._saving.done():
                return
            self._saving.result()
            self._saving = None
        if self._unsaved_since is not None and time.monotonic() - self._unsaved_since > self._save_after_s:
            self._saving = asyncio.create_task(self._save(), name="feed-save")

    async def _save(self) -> None:
        snapshot = self._replica.snapshot()
        if self._keep is None or self._unsaved_since is None or snapshot is None:
            return
        self._unsaved_since, begun = None, time.monotonic()
        try:
            await asyncio.to_thread(last_known_good.save, self._keep, snapshot)
        except OSError as error:
            log.error("last known good can't be saved", file=str(self._keep), error=str(error))  # noqa: TRY400
        # Writing a large catalog costs the requests something too: it rests for many times as long as it took.
        self._save_after_s = max(SAVE_AFTER_S, SAVE_REST * (time.monotonic() - begun))


def _usable(answer: httpx.Response) -> bytes:
    if answer.status_code != httpx.codes.OK:
        raise FeedUnusableError(f"{answer.request.url.path} answered {answer.status_code}")
    return answer.content
