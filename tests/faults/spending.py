"""Usage: what the stream tells of requests, each once, and what the services have counted of it, each batch once."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from nats.aio.msg import Msg
from nats.js import JetStreamContext

from faults.reading import SETTLED_WITHIN_S, Fetch, Reading
from modelbus.contracts.bus import USAGE
from running import eventually

EVERYTHING = UUID(int=0)
"""Under which integrity counts all requests."""


@dataclass(frozen=True)
class Batch:
    """What one event tells of."""

    requests: list[dict[str, Any]]

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
        self._heard: dict[UUID, tuple[datetime, Batch]] = {}
        """Heard as they were told, and when: only of a stream that was lost since is that all there is."""

    async def hear(self, message: Msg) -> None:
        """Note a batch in the moment in which it is told."""
        if batch := _read(message.headers, message.data):
            self._heard.setdefault(batch[0], (datetime.now(UTC), batch[1]))

    async def check(self, context: JetStreamContext, fetch: Fetch, answered: set[str], *, is_restored: bool) -> None:
        """Find each answered request told exactly once, and each batch counted once by whoever counts.

        Raises:
            AssertionError: one is missing, told twice or counted twice.
        """

        async def is_complete() -> bool:
            await self._reading.go_on(context)
            missing = answered - set(_ids(self._kept().values()))
            assert not missing, missing
            return True

        await eventually(is_complete, within_s=SETTLED_WITHIN_S)
        told = Counter(each for each in _ids(self._kept().values()) if each in answered)
        assert {each: times for each, times in told.items() if times > 1} == {}

        async def is_counted() -> bool:
            await self._check_counted(fetch, is_restored=is_restored)
            return True

        await eventually(is_counted, within_s=SETTLED_WITHIN_S)

    def _held(self) -> dict[UUID, Batch]:
        """Answer what the stream holds."""
        return dict(batch for each in self._reading.messages if (batch := _read(each.headers, each.data or b"")))

    def _kept(self) -> dict[UUID, Batch]:
        """Answer that, and what was told before the stream was there: a stream that was lost has held it."""
        created = self._reading.created
        assert created is not None
        lost = {event_id: batch for event_id, (at, batch) in self._heard.items() if at < created}
        return lost | self._held()

    async def _check_counted(self, fetch: Fetch, *, is_restored: bool) -> None:
        """Compare what was counted with the batches that were heard; all that the stream holds must have been."""
        for service, query, count in _COUNTS:
            heard = {row[0] for row in await fetch(f"SELECT event_id FROM {service}.heard_usage")}
            # A database that was restored has forgotten batches that its consumers will not hear again.
            unheard = set() if is_restored else set(self._held()) - heard
            assert not unheard, (service, unheard)
            known = {event_id: batch for event_id, (_, batch) in self._heard.items()} | self._held()
            assert heard <= set(known), (service, heard - set(known))
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
    requests = json.loads(body)["requests"]
    return (UUID((headers or {})["ce-id"]), Batch(requests)) if requests else None
