"""The catalog as integrity meets it: events on the real stream, and a feed over HTTP, in words that a test chooses."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import msgspec
from nats.js import JetStreamContext
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from modelbus.contracts.access import AccessKeyRecord, ConsumerRecord
from modelbus.contracts.bus import CATALOG
from modelbus.contracts.catalog import CHANGES, RecordChanged
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.event import Event
from modelbus.contracts.feed import Head, Snapshot, digest_text, record_digest
from modelbus.contracts.labels import CapabilityRecord
from modelbus.contracts.records import (
    CostPrices,
    CredentialRecord,
    ModelRecord,
    PriceRecord,
    Record,
    SourceRecord,
    SupplierRecord,
)
from modelbus.contracts.routing import (
    ChainRecord,
    ChainStepRecord,
    ComplexityLevelRecord,
    ComplexityRecord,
    ScopeRecord,
    SplitArmRecord,
    SplitRecord,
    SplitShadowRecord,
    StrategyRecord,
)
from running import SERVICE_TOKEN

_numbers = count(1)


def a_model(model_id: UUID | None = None, *, gone: str | None = None, **fields: Any) -> ModelRecord:
    """Make a model that is available, or not for the reason that is given."""
    defaults: dict[str, Any] = {
        "name": f"vendor/model-{next(_numbers)}",
        "aliases": [],
        "display_name": "A model",
        "model_type": "language",
        "context_window": None,
        "max_output_tokens": None,
        "is_active": True,
    }
    return ModelRecord(id=model_id or uuid4(), is_available=gone is None, reason=gone, **{**defaults, **fields})


def a_source(model_id: UUID, source_id: UUID | None = None, *, gone: str | None = None, **fields: Any) -> SourceRecord:
    """Make a source that is available, or not for the reason that is given."""
    defaults: dict[str, Any] = {
        "supplier_id": uuid4(),
        "upstream_name": "m",
        "priority": 1,
        "weight": 1,
        "cost": CostPrices(),
    }
    return SourceRecord(
        id=source_id or uuid4(), model_id=model_id, is_available=gone is None, reason=gone, **{**defaults, **fields}
    )


def a_price(model_id: UUID, **charge: str) -> PriceRecord:
    """Make what a model is charged, such as `input="2"`."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    amounts = CostPrices.model_validate(charge)
    return PriceRecord(id=model_id, model_id=model_id, charge=amounts, valid_from=begun, valid_until=None)


def a_supplier(name: str) -> SupplierRecord:
    """Make a supplier."""
    return SupplierRecord(
        id=uuid4(),
        name=name,
        display_name=name,
        supplier_kind="direct",
        base_url="https://api.example/v1",
        protocol="openai",
        flavour="openai",
        namespace=None,
        is_active=True,
        requires_credential=False,
        is_local=False,
        removal_after=2,
        sync_interval_s=0,
    )


def a_capability(name: str) -> CapabilityRecord:
    """Make a capability."""
    return CapabilityRecord(
        id=uuid4(), name=name, display_name=name, domain="nlp", input_types=["text"], output_types=["text"]
    )


def an_access_key(model_ids: list[UUID] | None, name: str = "mobile-app") -> AccessKeyRecord:
    """Make an access key that may call some models."""
    return AccessKeyRecord(
        id=uuid4(), name=name, key_hash="0" * 64, is_active=True, expires_at=None, model_ids=model_ids
    )


def a_consumer(model_ids: list[UUID] | None, name: str = "acme") -> ConsumerRecord:
    """Make a consumer that may call some models."""
    return ConsumerRecord(
        id=uuid4(),
        name=name,
        consumer_kind="tenant",
        tier="free",
        is_active=True,
        model_ids=model_ids,
        scope_ids=None,
        rpm_limit=None,
        tpm_limit=None,
        concurrency_limit=None,
        budgets=[],
    )


def a_credential(model_ids: list[UUID] | None, name: str = "main") -> CredentialRecord:
    """Make a credential that may be used for some models."""
    return CredentialRecord(
        id=uuid4(),
        supplier_id=uuid4(),
        name=name,
        sealed="sealed-secret",
        is_active=True,
        priority=1,
        state="ok",
        model_ids=model_ids,
    )


def a_strategy(model_ids: list[UUID] | None, name: str = "cheap") -> StrategyRecord:
    """Make a cost strategy over some models."""
    return StrategyRecord(
        id=uuid4(),
        name=name,
        is_active=True,
        cost_weight=1,
        latency_weight=0,
        success_weight=0,
        quality_weight=0,
        max_input_price=None,
        max_output_price=None,
        max_latency_ms=None,
        model_ids=model_ids,
    )


def a_chain(*targets: ModelRecord | SourceRecord, name: str = "default-chat", is_active: bool = True) -> ChainRecord:
    """Make a chain with a step for each target, in that order."""
    steps = [
        ChainStepRecord(id=uuid4(), model_id=target.model_id, source_id=target.id)
        if isinstance(target, SourceRecord)
        else ChainStepRecord(id=uuid4(), model_id=target.id)
        for target in targets
    ]
    return ChainRecord(id=uuid4(), name=name, is_active=is_active, steps=steps)


def a_split(*arms: ModelRecord | SourceRecord, shadow: ModelRecord | None = None, name: str = "canary") -> SplitRecord:
    """Make a split with an arm of equal weight for each target, called `a`, `b` ..., and perhaps a shadow `s`."""
    made = [
        SplitArmRecord(name=letter, model_id=target.model_id, source_id=target.id, weight=1)
        if isinstance(target, SourceRecord)
        else SplitArmRecord(name=letter, model_id=target.id, weight=1)
        for letter, target in zip("abcdefgh", arms, strict=False)
    ]
    shadows = [] if shadow is None else [SplitShadowRecord(name="s", model_id=shadow.id, percent=1)]
    return SplitRecord(id=uuid4(), name=name, is_active=True, sticky_by="none", arms=made, shadows=shadows)


def a_complexity(name: str = "by-difficulty", **levels: list[UUID]) -> ComplexityRecord:
    """Make a complexity routing with the models of each level."""
    made = [ComplexityLevelRecord(level=level, model_ids=model_ids) for level, model_ids in levels.items()]
    return ComplexityRecord(id=uuid4(), name=name, is_active=True, levels=made)


def a_scope(model_ids: list[UUID], default: UUID | None = None, name: str = "support") -> ScopeRecord:
    """Make a scope."""
    return ScopeRecord(id=uuid4(), name=name, is_active=True, model_ids=model_ids, default_model_id=default)


@dataclass(frozen=True)
class Told:
    """An event in the catalog's order, ready to be delivered as often as a test likes."""

    event: Event
    envelope: Envelope


@dataclass
class Teller:
    """Numbers what it is told to tell, like the catalog's outbox, and serves the feed of what it has told."""

    context: JetStreamContext | None = None
    epoch: UUID = field(default_factory=uuid4)
    revision: int = 0
    records: dict[str, dict[UUID, bytes]] = field(default_factory=lambda: {kind: {} for kind in CHANGES})
    is_away: bool = False
    """Answer 503 to everything."""
    snapshots_served: int = 0

    async def tell(self, *news: Record | Event) -> list[Told]:
        """Commit records and events, and publish them."""
        told = [self.commit(each) for each in news]
        for each in told:
            await self.publish(each)
        return told

    def commit(self, news: Record | Event) -> Told:
        """Number an event, or the change of a record, without publishing it."""
        event = CHANGES[news.kind].to(news) if isinstance(news, Record) else news
        self.revision += 1
        if isinstance(event, RecordChanged):
            kind = event.type.removesuffix(".changed")
            if event.record is None:
                self.records[kind].pop(event.id, None)
            else:
                self.records[kind][event.id] = event.record.model_dump_json().encode()
        envelope = Envelope(
            id=uuid4(),
            type=event.type,
            source="/modelbus/catalog",
            time=datetime.now(UTC),
            data=event.model_dump_json().encode(),
            subject=str(event.about()),
            revision=self.revision,
            epoch=self.epoch,
        )
        return Told(event, envelope)

    async def publish(self, told: Told, *, again: bool = False) -> None:
        """Put the event on the stream; `again` gets past the stream's own net against doubles."""
        headers = told.envelope.headers()
        if again:
            headers["Nats-Msg-Id"] = str(uuid4())
        await self.publish_raw(told.envelope.type, told.envelope.data, headers)

    async def publish_raw(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        """Put anything on the stream."""
        assert self.context is not None
        await self.context.publish(subject, body, stream=CATALOG.name, headers=headers)

    def snapshot(self, kinds: Iterable[str] = tuple(CHANGES)) -> Snapshot:
        """Answer everything that was told."""
        records = {kind: [msgspec.Raw(body) for body in self.records[kind].values()] for kind in kinds}
        return Snapshot(self.epoch, self.revision, self.digests(), records)

    def digests(self) -> dict[str, str]:
        """Answer the digest of each kind."""
        return {
            kind: digest_text(sum(record_digest(kind, record_id, body) for record_id, body in known.items()))
            for kind, known in self.records.items()
        }

    def answer(self, request: Request) -> Response:
        """Answer a request for the feed."""
        if request.headers.get("authorization") != f"Bearer {SERVICE_TOKEN}":
            return Response(status_code=401)
        if self.is_away:
            return Response(status_code=503)
        if request.url.path.endswith("head"):
            return Response(msgspec.json.encode(Head(self.epoch, self.revision, self.digests())))
        self.snapshots_served += 1
        return Response(msgspec.json.encode(self.snapshot(request.query_params["kinds"].split(","))))


class FeedServer:
    """Serves the feed of whichever catalog is there now; one socket lasts for all tests."""

    def __init__(self) -> None:
        self.url = ""
        self.catalog = Teller()

    def app(self) -> Starlette:
        """Answer the feed as an ASGI app."""

        async def answer(request: Request) -> Response:
            return self.catalog.answer(request)

        async def refuse(_request: Request) -> Response:
            return Response(status_code=503 if self.catalog.is_away else 404)

        feed = [Route("/api/v1/head", answer), Route("/api/v1/snapshot", answer)]
        return Starlette(routes=[*feed, Route("/{rest:path}", refuse, methods=["GET", "PATCH"])])
