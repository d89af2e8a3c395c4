"""The catalog as sync sees it: a feed over HTTP, and events on the bus in the order of their revisions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from fastapi import FastAPI, Response
from nats.aio.client import Client

from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault
from modelbus.contracts.catalog import CHANGES, SyncRequested
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.event import Event
from modelbus.contracts.feed import Change, Changes, Head, Snapshot, digest_text, record_digest
from modelbus.contracts.records import CredentialRecord, Record, SupplierRecord
from running import MASTER_KEY, serving


class CatalogStandIn:
    """Tells what a test wants told."""

    def __init__(self, client: Client) -> None:
        self.url = ""
        self.epoch = uuid4()
        self._client = client
        self._records: dict[str, dict[UUID, bytes]] = {kind: {} for kind in CHANGES}
        self._changes: list[Change] = []

    @property
    def revision(self) -> int:
        return len(self._changes)

    async def put(self, *records: Record) -> None:
        """Change records, and tell it on the bus."""
        for record in records:
            self._records[record.kind][record.id] = record.model_dump_json().encode()
            await self.tell(CHANGES[record.kind].to(record))

    async def request(self, supplier: SupplierRecord, cause: str = "administrator") -> UUID:
        """Ask for a listing; answers the run's id."""
        run_id = new_id()
        await self.tell(SyncRequested(run_id=run_id, supplier_id=supplier.id, cause=cause))
        return run_id

    async def tell(self, event: Event) -> None:
        """Tell an event on the bus with the next revision."""
        body = event.model_dump_json().encode()
        change = Change(self.revision + 1, event.type, new_id(), msgspec.Raw(body))
        self._changes.append(change)
        await self._publish(change)

    async def tell_again(self, revision: int) -> None:
        """Tell an event a second time, as a bus does that has forgotten the first."""
        await self._publish(self._changes[revision - 1], is_double=True)

    async def _publish(self, change: Change, *, is_double: bool = False) -> None:
        envelope = Envelope(
            id=change.id,
            type=change.type,
            source="/modelbus/catalog",
            time=datetime.now(UTC),
            data=bytes(change.data),
            revision=change.revision,
            epoch=self.epoch,
        )
        headers = envelope.headers()
        if is_double:
            del headers["Nats-Msg-Id"]
        await self._client.jetstream().publish(change.type, envelope.data, headers=headers)

    def _digests(self) -> dict[str, str]:
        return {
            kind: digest_text(sum(record_digest(kind, each, body) for each, body in held.items()))
            for kind, held in self._records.items()
        }

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/api/v1/snapshot")
        async def snapshot(kinds: str) -> Response:
            records = {kind: [msgspec.Raw(body) for body in self._records[kind].values()] for kind in kinds.split(",")}
            return _json(Snapshot(self.epoch, self.revision, self._digests(), records))

        @app.get("/api/v1/changes")
        async def changes(after: int) -> Response:
            return _json(Changes(self.epoch, self.revision, self._changes[after:]))

        @app.get("/api/v1/head")
        async def head() -> Response:
            return _json(Head(self.epoch, self.revision, self._digests()))

        return app


@asynccontextmanager
async def standing_in(client: Client) -> AsyncIterator[CatalogStandIn]:
    catalog = CatalogStandIn(client)
    async with serving(catalog.app()) as url:
        catalog.url = url
        yield catalog


def a_supplier(base_url: str = "http://127.0.0.1:9/v1", **fields: Any) -> SupplierRecord:
    defaults: dict[str, Any] = {
        "id": new_id(),
        "name": "aggregator",
        "display_name": "Aggregator",
        "supplier_kind": "aggregator",
        "base_url": base_url,
        "protocol": "openai",
        "flavour": "openrouter",
        "namespace": None,
        "is_active": True,
        "requires_credential": False,
        "is_local": True,
        "removal_after": 2,
        "sync_interval_s": 0,
    }
    return SupplierRecord(**{**defaults, **fields})


def a_credential(supplier: SupplierRecord, secret: str, **fields: Any) -> CredentialRecord:
    defaults: dict[str, Any] = {
        "id": new_id(),
        "supplier_id": supplier.id,
        "name": secret,
        "sealed": Vault(MASTER_KEY).seal(secret),
        "is_active": True,
        "priority": 100,
        "state": "ok",
    }
    return CredentialRecord(**{**defaults, **fields})


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")
