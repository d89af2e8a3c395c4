"""A catalog's feed for tests: snapshot, delta and head over HTTP, and events on the bus where a test wants them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
from nats.aio.client import Client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modelbus.chassis.ids import new_id
from modelbus.contracts import records
from modelbus.contracts.catalog import CHANGES
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.feed import Change, Changes, Head
from router.seeding import EPOCH, Seed
from running import SERVICE_TOKEN, serving


class Feed:
    """Tells what the seed holds, and every change of it."""

    def __init__(self, seed: Seed, *, most_kept: int = 100_000) -> None:
        self.seed = seed
        self._most_kept = most_kept
        """Changes; who was away for longer is not expected."""
        self._base = seed.revision
        self._changes: list[Change] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve it; yields the base URL."""
        paths = {"snapshot": self._snapshot, "changes": self._delta, "head": self._head}
        app = Starlette(routes=[Route(f"/api/v1/{name}", answer) for name, answer in paths.items()])
        async with serving(app) as url:
            yield url

    def change(self, record: records.Record) -> Envelope:
        """Put the record into the truth; answer the event that tells so."""
        self.seed.put(record)
        self.seed.revision += 1
        event = CHANGES[record.kind].to(record)
        body = event.model_dump_json().encode()
        change = Change(self.seed.revision, event.type, new_id(), msgspec.Raw(body))
        self._changes.append(change)
        if len(self._changes) > self._most_kept:
            del self._changes[0]
            self._base += 1
        return Envelope(
            id=change.id,
            type=event.type,
            source="/modelbus/catalog",
            time=datetime.now(UTC),
            data=body,
            revision=change.revision,
            epoch=EPOCH,
        )

    async def _snapshot(self, request: Request) -> Response:
        return _json(request, self.seed.snapshot())

    async def _delta(self, request: Request) -> Response:
        missing = self._changes[int(request.query_params["after"]) - self._base :]
        return _json(request, Changes(EPOCH, self.seed.revision, missing))

    async def _head(self, request: Request) -> Response:
        return _json(request, Head(EPOCH, self.seed.revision, self.seed.snapshot().digests))


async def tell(client: Client, envelope: Envelope) -> None:
    """Publish the event."""
    await client.publish(envelope.type, envelope.data, headers=envelope.headers())
    await client.flush()


def _json(request: Request, content: object) -> Response:
    if request.headers.get("authorization") != f"Bearer {SERVICE_TOKEN}":
        return Response(status_code=401)
    return Response(msgspec.json.encode(content), media_type="application/json")
