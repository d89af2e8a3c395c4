"""The list of what a key can call now, in the shape of the protocol that the caller speaks."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from modelbus.router.balance.choosing import find, is_served, serving
from modelbus.router.cache.records import AccessKey, Chain, Model
from modelbus.router.cache.table import Table
from modelbus.router.journey.reply import JSON, Reply
from modelbus.router.wire.envelopes import ANTHROPIC


class _Listed(msgspec.Struct, gc=False):
    id: str
    created: int
    object: str = "model"
    owned_by: str = "modelbus"


class _AnthropicListed(msgspec.Struct, gc=False):
    id: str
    display_name: str
    created_at: datetime
    type: str = "model"


class ModelList:
    """Writes the list; what keys without restriction see is written once per table and protocol."""

    def __init__(self) -> None:
        self._written_for: Table | None = None
        self._written: dict[str, bytes] = {}

    def of(self, table: Table, caller: AccessKey, protocol: str) -> Reply:
        """List the models and chains that the key can call now, by name and on one page."""
        if caller.model_ids is not None:
            return _json(_write(table, caller, protocol))
        if self._written_for is not table:
            self._written, self._written_for = {}, table
        if protocol not in self._written:
            self._written[protocol] = _write(table, caller, protocol)
        return _json(self._written[protocol])


def show(table: Table, caller: AccessKey, name: str, protocol: str) -> Reply:
    """Show one of them.

    Raises:
        Refusal: a call of it would be refused too.
    """
    found = find(table, name)
    serving(table, name, caller)
    return _json(msgspec.json.encode(_listed(found, protocol)))


def _write(table: Table, caller: AccessKey, protocol: str) -> bytes:
    listed = [_listed(each, protocol) for each in sorted(_served(table, caller), key=lambda each: each.name)]
    if protocol == ANTHROPIC:
        ends = (listed[0].id, listed[-1].id) if listed else (None, None)
        return msgspec.json.encode({"data": listed, "has_more": False, "first_id": ends[0], "last_id": ends[1]})
    return msgspec.json.encode({"object": "list", "data": listed})


def _served(table: Table, caller: AccessKey) -> Iterator[Model | Chain]:
    for model in table.models.all():
        if is_served(table, model, caller):
            yield model
    for chain in table.chains.all():
        # A model of the same name comes first when it is called, so the chain is not what the name means.
        if chain.is_active and not table.models.found("name", chain.name) and is_served(table, chain, caller):
            yield chain


def _listed(found: Model | Chain, protocol: str) -> _Listed | _AnthropicListed:
    # The id is a UUIDv7: its first 48 bits are the Unix milliseconds of its making.
    created = (found.id.int >> 80) // 1000
    if protocol == ANTHROPIC:
        return _AnthropicListed(found.name, found.name, datetime.fromtimestamp(created, UTC))
    return _Listed(found.name, created)


def _json(body: bytes) -> Reply:
    return Reply(200, body, [(b"content-type", JSON)])
