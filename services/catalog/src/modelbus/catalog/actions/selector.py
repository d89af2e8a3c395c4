"""The selector is served from memory: made of the feed's records, once for all who may use the same."""

import asyncio
import hashlib
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from modelbus.catalog.actions.feed import Feed
from modelbus.catalog.domain.access_keys import hash_of
from modelbus.catalog.domain.errors import NotFoundError
from modelbus.catalog.domain.label_errors import AccessKeyRefusedError, ScopeNotPermittedError
from modelbus.catalog.domain.permissions import HeldAccessKey, HeldConsumer, Permissions, permissions_of
from modelbus.catalog.domain.selector import (
    HeldChain,
    HeldLabel,
    HeldModel,
    HeldPrice,
    HeldScope,
    Selection,
    Stock,
    choice_of,
    in_order,
    select,
)
from modelbus.chassis.replica import Replica
from modelbus.contracts import access, labels, records, routing

KEPT_BYTES = 32 * 1024 * 1024
ZIP_LEVEL = 1
GZIP = 16 + zlib.MAX_WBITS

_READ: Mapping[str, type[Any]] = {
    records.ModelRecord.kind: HeldModel,
    records.PriceRecord.kind: HeldPrice,
    labels.TagRecord.kind: HeldLabel,
    labels.CapabilityRecord.kind: HeldLabel,
    routing.ChainRecord.kind: HeldChain,
    routing.ScopeRecord.kind: HeldScope,
    access.AccessKeyRecord.kind: HeldAccessKey,
    access.ConsumerRecord.kind: HeldConsumer,
}
"""What is read of each kind of record."""
_DECODERS = {kind: msgspec.json.Decoder(held) for kind, held in _READ.items()}
_OF_CALLERS = frozenset({access.AccessKeyRecord.kind, access.ConsumerRecord.kind})
_SHOWN_IN_MODELS = frozenset({labels.TagRecord.kind, labels.CapabilityRecord.kind, records.PriceRecord.kind})
"""Kinds of which something is shown beside a model."""


class _Availability(msgspec.Struct):
    is_available: bool


_availability = msgspec.json.Decoder(_Availability)


@dataclass(frozen=True, slots=True)
class Body:
    """A selection as it is sent."""

    etag: str
    """Of what is in it: it stays when something changes that this caller does not see."""
    content: bytes
    zipped: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.content) + len(self.zipped or b"")


class Selector:
    """What each access key may use now, always at the newest revision."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._digests: dict[str, str] = {}
        self._told: dict[str, dict[UUID, bytes]] = {kind: {} for kind in _READ}
        self._held: dict[str, dict[UUID, Any]] = {kind: {} for kind in _READ}
        self._by_hash: dict[str, HeldAccessKey] = {}
        self._stock = Stock({}, {}, {}, {}, {}, frozenset())
        self._bodies: OrderedDict[Permissions, Body] = OrderedDict()

    async def show_to(self, shown: str, scope: str | None, *, access_key_id: UUID | None = None) -> Body:
        """Answer what the access key that was shown may use; `access_key_id` is which one it must be, if given.

        Raises:
            AccessKeyRefusedError: it is none, or opens nothing now.
            ScopeNotPermittedError: it may not name the scope.
        """
        await self._look()
        now, key_hash = datetime.now(UTC), hash_of(shown)
        key = self._by_hash.get(key_hash)
        if key is None or not key.is_shown_by(key_hash, now) or not key.opens(now, self._consumer_of(key)):
            raise AccessKeyRefusedError
        if access_key_id not in {None, key.id}:
            raise AccessKeyRefusedError
        return self._body(self._narrowed(permissions_of(key, self._consumer_of(key)), scope))

    async def show_of(self, access_key_id: UUID, scope: str | None) -> Body:
        """Answer what an access key may use; nothing, if it opens nothing now.

        Raises:
            NotFoundError: there is no such access key.
            ScopeNotPermittedError: it may not name the scope.
        """
        await self._look()
        key = self._held[access.AccessKeyRecord.kind].get(access_key_id)
        if key is None:
            raise NotFoundError("access key", access_key_id)
        consumer = self._consumer_of(key)
        if not key.opens(datetime.now(UTC), consumer):
            return _written(Selection())
        return self._body(self._narrowed(permissions_of(key, consumer), scope))

    async def zip(self, body: Body) -> Body:
        """Answer the body with its compressed form, which is made once."""
        if body.zipped is not None:
            return body
        zipped = replace(body, zipped=await asyncio.to_thread(_zipped, body.content))
        for permissions, kept in self._bodies.items():
            if kept is body:
                self._keep(permissions, zipped)
                break
        return zipped

    async def _look(self) -> None:
        async with self._feed.held() as replica:
            digests = replica.digests()
            changed = {kind for kind in _READ if digests.get(kind) != self._digests.get(kind)}
            for kind in changed:
                self._read(kind, dict(replica.records.get(kind, {})))
            self._digests = digests
            serving = self._serving_sources(replica)
        if changed & _OF_CALLERS:
            self._by_hash = {
                key_hash: key
                for key in self._held[access.AccessKeyRecord.kind].values()
                for key_hash in (key.previous_key_hash, key.key_hash)
                if key_hash is not None
            }
        if changed - _OF_CALLERS or serving != self._stock.serving_sources:
            self._restock(serving, are_labels_same=not changed & _SHOWN_IN_MODELS)

    def _read(self, kind: str, told: dict[UUID, bytes]) -> None:
        """Read the records of a kind; those that are told as before stay the objects that they are."""
        before, held, decode = self._told[kind], self._held[kind], _DECODERS[kind].decode
        self._held[kind] = {key: held[key] if before.get(key) == body else decode(body) for key, body in told.items()}
        self._told[kind] = told

    def _restock(self, serving: frozenset[UUID], *, are_labels_same: bool) -> None:
        held, old = self._held, self._stock
        tags, capabilities = held[labels.TagRecord.kind], held[labels.CapabilityRecord.kind]
        prices = {price.model_id: price.charge for price in held[records.PriceRecord.kind].values()}
        available = {key: model for key, model in held[records.ModelRecord.kind].items() if model.is_available}
        choices = (
            old.choices[key]
            if are_labels_same and old.models.get(key) is model
            else choice_of(model, tags, capabilities, prices.get(key))
            for key, model in available.items()
        )
        self._stock = Stock(
            models=held[records.ModelRecord.kind],
            choices=in_order(choices),
            tags=tags,
            chains=held[routing.ChainRecord.kind],
            scopes=held[routing.ScopeRecord.kind],
            serving_sources=serving,
        )
        self._bodies.clear()

    def _serving_sources(self, replica: Replica) -> frozenset[UUID]:
        held = replica.records[records.SourceRecord.kind]
        steps = (step for chain in self._held[routing.ChainRecord.kind].values() for step in chain.steps)
        named = {step.source_id for step in steps if step.source_id is not None}
        return frozenset(each for each in named if each in held and _availability.decode(held[each]).is_available)

    def _consumer_of(self, key: HeldAccessKey) -> HeldConsumer | None:
        held: dict[UUID, HeldConsumer] = self._held[access.ConsumerRecord.kind]
        return None if key.consumer_id is None else held.get(key.consumer_id)

    def _narrowed(self, permissions: Permissions, scope: str | None) -> Permissions:
        if scope is None:
            return permissions
        for each in self._stock.scopes.values():
            if each.name == scope and each.is_active and permissions.permit_scope(each.id):
                return replace(permissions, within=each.id)
        raise ScopeNotPermittedError(scope)

    def _body(self, permissions: Permissions) -> Body:
        body = self._bodies.get(permissions)
        if body is None:
            body = _written(select(self._stock, permissions))
            self._keep(permissions, body)
        else:
            self._bodies.move_to_end(permissions)
        return body

    def _keep(self, permissions: Permissions, body: Body) -> None:
        self._bodies[permissions] = body
        while len(self._bodies) > 1 and sum(each.size for each in self._bodies.values()) > KEPT_BYTES:
            self._bodies.popitem(last=False)


def _written(selection: Selection) -> Body:
    content = msgspec.json.encode(selection)
    return Body(f'W/"{hashlib.blake2b(content, digest_size=12).hexdigest()}"', content)


def _zipped(content: bytes) -> bytes:
    packer = zlib.compressobj(ZIP_LEVEL, wbits=GZIP)
    return packer.compress(content) + packer.flush()
