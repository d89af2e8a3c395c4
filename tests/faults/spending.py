"""Usage: what the stream tells of requests, each once, and what the services have counted of it, each batch once."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from faults.reading import SETTLED_WITHIN_S, Fetch, Forgotten, Reading
from modelbus.contracts.bus import USAGE
from running import eventually

EVERYTHING = UUID(int=0)
"""Under which integrity counts all requests."""
TOLD_AGAIN = timedelta(seconds=55)
"""A stream that is made anew is told again what routers told in the last minute; a moment passes until they know."""
HEARD_AGAIN_S = 0.02
"""A consumer that is created anew hears the whole stream again, batch by batch, and the newest last."""
HEARD_WITHIN = timedelta(seconds=5)
"""So long after it was told usage may be counted, and so be forgotten by a backup that was begun meanwhile."""


@dataclass(frozen=True)
class Batch:
    """What one event tells of."""

    requests: list[dict[str, Any]]
    router: str
    run: str
    """The process of the router."""

    @property
    def ids(self) -> list[str]:
        """Which requests it tells of."""
        return [each["id"] for each in self.requests]

    def served(self) -> Iterator[UUID]:
        """Answer by which model each request was served, as the catalog counts."""
        for each in self.requests:
            models = [attempt["model_id"] for attempt in each["attempts"] if attempt["outcome"] == "ok"]
            if models and not each.get("is_shadow"):
                yield UUID(models[-1])

    def asked(self) -> Iterator[UUID]:
        """Answer who was asked to serve each request, as integrity counts: model, source and supplier, once each."""
        for each in self.requests:
            if each["attempts"] and not each.get("is_shadow"):
                names = ("model_id", "source_id", "supplier_id")
                yield from {UUID(attempt[name]) for attempt in each["attempts"] for name in names}
                yield EVERYTHING


class Spending:
    """Batches by the id of their event: those that the stream holds, and those that one before it was told."""

    def __init__(self) -> None:
        self._reading = Reading(USAGE)
        self._read: dict[tuple[datetime | None, int | None], tuple[UUID, Batch] | None] = {}
        """What each message says, by its stream and number: after an hour it takes a second to read all of them."""
        self._heard: dict[UUID, tuple[datetime, Batch]] = {}
        """Heard as they were told or found on a stream, and when: of one that is lost since that is all there is."""
        self._routers: dict[str, str] = {}
        """The router of each run."""

    async def hear(self, message: Msg) -> None:
        """Note a batch in the moment in which it is told."""
        self.note(message, datetime.now(UTC))

    def note(self, message: Msg, at: datetime) -> None:
        """Note a batch that was told at that time."""
        self._note(_read(message.headers, message.data), at)

    def _note(self, told: tuple[UUID, Batch] | None, at: datetime) -> None:
        if told:
            event_id, batch = told
            self._heard.setdefault(event_id, (at, batch))
            self._routers.setdefault(batch.run, batch.router)

    async def check(
        self, context: JetStreamContext, fetch: Fetch, answered: set[str], *, forgotten: Forgotten | None = None
    ) -> None:
        """Find each answered request told exactly once, and each batch counted once by whoever counts.

        Raises:
            AssertionError: one is missing, told twice or counted twice.
        """

        async def is_complete() -> bool:
            await self._reading.go_on(context)
            kept = self._kept()
            missing = answered - set(_ids(kept.values()))
            assert not missing, missing
            untold = set(self._heard) - set(kept)
            assert not untold, untold
            return True

        await eventually(is_complete, within_s=SETTLED_WITHIN_S)
        told = Counter(each for each in _ids(self._kept().values()) if each in answered)
        assert {each: times for each, times in told.items() if times > 1} == {}

        async def is_counted() -> bool:
            await self._check_counted(fetch, forgotten)
            return True

        await eventually(is_counted, within_s=SETTLED_WITHIN_S + HEARD_AGAIN_S * len(self._reading.messages))

    def _held(self) -> dict[UUID, Batch]:
        """Answer what the stream holds, and note what nobody heard as it was told: the stream may be gone next time."""
        created = self._reading.created
        for each in self._reading.messages:
            if (created, each.seq) not in self._read:
                self._read[created, each.seq] = told = _read(each.headers, each.data or b"")
                self._note(told, each.time or datetime.now(UTC))
        return dict(batch for each in self._reading.messages if (batch := self._read[created, each.seq]))

    def _kept(self) -> dict[UUID, Batch]:
        """Answer that, and what a stream before it has held and nobody can tell again."""
        created = self._reading.created
        assert created is not None
        # Of each router the run that began last, as their ids say; the others were killed, and remember nothing.
        living = {router: run for run, router in sorted(self._routers.items())}.values()
        lost = {
            event_id: batch
            for event_id, (at, batch) in self._heard.items()
            if at < created and (at < created - TOLD_AGAIN or batch.run not in living)
        }
        return lost | self._held()

    def _forgotten(self, forgotten: Forgotten | None) -> set[UUID]:
        """Answer which batches a restored database has forgotten, whose consumers will not hear them again."""
        if forgotten is None:
            return set()
        since, until = forgotten.since - HEARD_WITHIN, forgotten.until
        told = ((each.time, each.headers or {}) for each in self._reading.messages)
        return {UUID(headers["ce-id"]) for at, headers in told if at and since < at < until}

    async def _check_counted(self, fetch: Fetch, forgotten: Forgotten | None) -> None:
        """Compare what was counted with the batches that were heard; all that the stream holds must have been."""
        held = self._held()
        known = {event_id: batch for event_id, (_, batch) in self._heard.items()} | held
        for service, query, count in _COUNTS:
            heard = {row[0] for row in await fetch(f"SELECT event_id FROM {service}.heard_usage")}
            unheard = set(held) - heard - self._forgotten(forgotten)
            assert not unheard, (service, "has not counted", unheard)
            assert heard <= set(known), (service, "has counted what nobody told", heard - set(known))
            expected = Counter(each for event_id in heard for each in count(known[event_id]))
            counted = {row[0]: int(row[1]) for row in await fetch(query)}
            assert counted == dict(expected), service


_COUNTS = (
    ("catalog", "SELECT model_id, sum(requests) FROM catalog.model_usage GROUP BY model_id", Batch.served),
    ("integrity", "SELECT target_id, sum(requests) FROM integrity.usage_hours GROUP BY target_id", Batch.asked),
)


def _ids(batches: Iterable[Batch]) -> Iterator[str]:
    for batch in batches:
        yield from batch.ids


def _read(headers: Mapping[str, str] | None, body: bytes) -> tuple[UUID, Batch] | None:
    """Read a batch; None for one of which nobody can read anything."""
    told = json.loads(body)
    if not told["requests"]:
        return None
    return UUID((headers or {})["ce-id"]), Batch(told["requests"], told["router_id"], told["run_id"])
