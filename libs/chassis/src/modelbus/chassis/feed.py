"""Following the catalog: snapshot and delta over HTTP, events from core NATS, last-known-good on disk.

The pattern of Kubernetes' list and watch: the bus only makes it quick, the HTTP feed makes it right. A follower
holds every record as its own JSON text; what a service makes of them is told by `on_change`.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
from nats.aio.msg import Msg

from modelbus.chassis import last_known_good
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import pause_s
from modelbus.chassis.messaging import Bus
from modelbus.contracts.bus import CATALOG, HEADER_EPOCH, HEADER_REVISION
from modelbus.contracts.catalog import CHANGES, CatalogHeartbeat
from modelbus.contracts.event import read_event
from modelbus.contracts.feed import Change, Changes, Head, RecordChange, Snapshot, digest_text, record_digest

SILENCE_S = 3.0
GAP_S = 0.1
POLL_S = (2.0, 15.0)
AUDIT_S = 60.0
SAVE_AFTER_S = 1.0
_KIND_OF_TYPE = {event.type: kind for kind, event in CHANGES.items()}

log = logger(__name__)

type Records = dict[str, dict[UUID, bytes]]
"""Kind of record -> id -> the record as JSON."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What has just been applied: the records that are new or changed, and those that are gone."""

    changed: Records
    gone: dict[str, set[UUID]]
    is_whole: bool
    """True after a snapshot: `changed` holds everything, and whatever is not in it is gone."""


class FeedUnusableError(Exception):
    """The catalog answered something that is no feed."""


@dataclass(slots=True)
class _Standing:
    epoch: UUID | None = None
    revision: int = 0
    digests: dict[str, int] = field(default_factory=dict)


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
        self._kinds = frozenset(kinds)
        self._on_change = on_change
        self._keep = keep
        self._standing = _Standing()
        self.records: Records = {kind: {} for kind in self._kinds}
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

    @property
    def epoch(self) -> UUID | None:
        """Answer the epoch of the records; None before anything was loaded."""
        return self._standing.epoch

    @property
    def revision(self) -> int:
        """Answer the revision of the records."""
        return self._standing.revision

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
                except (httpx.HTTPError, FeedUnusableError, msgspec.DecodeError) as error:
                    failures += 1
                    if failures == 1:
                        log.warning("catalog can't be asked, its last known state is used", error=repr(error))
                    self.is_stale = True
                    await asyncio.sleep(pause_s(failures))
                if listening.done():
                    listening.result()
                self._drain()
                await self._save_if_due()
        finally:
            listening.cancel()
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
        headers = message.headers or {}
        epoch, revision = UUID(headers[HEADER_EPOCH]), int(headers[HEADER_REVISION])
        if revision > self.revision:
            body = msgspec.Raw(message.data)
            self._pending[revision] = Change(revision, message.subject, UUID(headers["ce-id"]), body)
        self._note(epoch, revision)
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
        answer = await self._catalog.get("/api/v1/snapshot", params={"kinds": ",".join(sorted(self._kinds))})
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
        wrong = [kind for kind in self._kinds if head.digests.get(kind) != ours[kind]]
        if wrong:
            self.alarms += 1
            log.error("records differ from the truth at equal revision", kinds=wrong, revision=self.revision)
            await self._take_snapshot()

    def digests(self) -> dict[str, str]:
        """Answer the digest of each kind."""
        return {kind: digest_text(self._standing.digests[kind]) for kind in self._kinds}

    def _replace(self, snapshot: Snapshot) -> None:
        records: Records = {kind: {} for kind in self._kinds}
        digests = dict.fromkeys(self._kinds, 0)
        for kind in self._kinds:
            for raw in snapshot.records.get(kind, ()):
                record_id, body = msgspec.json.decode(raw, type=_Identified).id, bytes(raw)
                records[kind][record_id] = body
                digests[kind] += record_digest(kind, record_id, body)
        self.records = records
        self._standing = _Standing(snapshot.epoch, snapshot.revision, digests)
        self.head = snapshot.revision
        self._pending = {r: change for r, change in self._pending.items() if r > snapshot.revision}
        self._gap_since = None
        self.is_loaded = True
        self._on_change(Applied(changed=records, gone={}, is_whole=True))

    def _apply(self, changes: list[Change]) -> None:
        changed: Records = {}
        gone: dict[str, set[UUID]] = {}
        for change in changes:
            if change.revision != self._standing.revision + 1:
                raise FeedUnusableError(f"expected revision {self._standing.revision + 1}, got {change.revision}")
            kind = _KIND_OF_TYPE.get(change.type)
            if kind in self._kinds:
                self._set(kind, msgspec.json.decode(change.data, type=RecordChange), changed, gone)
            self._standing.revision = change.revision
        self.head = max(self.head, self._standing.revision)
        if self.head == self._standing.revision:
            self._confirm()
        self._unsaved_since = self._unsaved_since or time.monotonic()
        self._on_change(Applied(changed=changed, gone=gone, is_whole=False))

    def _set(self, kind: str, change: RecordChange, changed: Records, gone: dict[str, set[UUID]]) -> None:
        old = self.records[kind].pop(change.id, None)
        if old is not None:
            self._standing.digests[kind] -= record_digest(kind, change.id, old)
        if change.deleted or change.record is None:
            changed.get(kind, {}).pop(change.id, None)
            gone.setdefault(kind, set()).add(change.id)
            return
        body = bytes(change.record)
        self.records[kind][change.id] = body
        self._standing.digests[kind] += record_digest(kind, change.id, body)
        changed.setdefault(kind, {})[change.id] = body
        gone.get(kind, set()).discard(change.id)

    async def _save_if_due(self) -> None:
        if self._unsaved_since is not None and time.monotonic() - self._unsaved_since > SAVE_AFTER_S:
            await self._save()

    async def _save(self) -> None:
        if self._keep is None or self._unsaved_since is None or self.epoch is None:
            return
        self._unsaved_since = None
        records = {kind: [msgspec.Raw(body) for body in self.records[kind].values()] for kind in self._kinds}
        snapshot = Snapshot(self.epoch, self.revision, self.digests(), records)
        try:
            await asyncio.to_thread(last_known_good.save, self._keep, snapshot)
        except OSError as error:
            log.error("last known good can't be saved", file=str(self._keep), error=str(error))  # noqa: TRY400


class _Identified(msgspec.Struct):
    id: UUID


def _usable(answer: httpx.Response) -> bytes:
    if answer.status_code != httpx.codes.OK:
        raise FeedUnusableError(f"{answer.request.url.path} answered {answer.status_code}")
    return answer.content
